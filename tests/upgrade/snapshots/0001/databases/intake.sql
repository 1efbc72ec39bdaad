--
-- PostgreSQL database dump
--

\restrict truce

-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: inbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.inbox (
    id uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: lead_numbers; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.lead_numbers
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: leads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.leads (
    lead_id uuid NOT NULL,
    number bigint NOT NULL,
    portal text NOT NULL,
    partner_id text NOT NULL,
    client_key text NOT NULL,
    client text NOT NULL,
    status text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    rejected_at timestamp with time zone,
    reason text,
    confirmed_at timestamp with time zone,
    reserved_through date,
    reserved_until timestamp with time zone,
    expired_at timestamp with time zone,
    closed_at timestamp with time zone,
    closed_as text,
    story jsonb NOT NULL,
    told integer NOT NULL
);


--
-- Name: outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    event_id uuid NOT NULL,
    owner integer,
    topic text NOT NULL,
    key text NOT NULL,
    headers text NOT NULL,
    value bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='5000');
ALTER TABLE ONLY public.outbox ALTER COLUMN value SET STORAGE EXTERNAL;


--
-- Name: outbox_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.outbox ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: parked; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.parked (
    id bigint NOT NULL,
    key text NOT NULL,
    token uuid NOT NULL,
    record uuid NOT NULL
);


--
-- Name: parked_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.parked ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.parked_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: partners; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.partners (
    partner_id text NOT NULL,
    person text NOT NULL,
    digest text NOT NULL,
    agreement jsonb NOT NULL,
    status text NOT NULL
);


--
-- Name: portals; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.portals (
    name text NOT NULL,
    scopes text[] NOT NULL,
    key_hash bytea,
    changed_at timestamp with time zone NOT NULL
);


--
-- Name: requests; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.requests (
    portal text NOT NULL,
    key text NOT NULL,
    request_id uuid NOT NULL,
    kind text NOT NULL,
    digest text NOT NULL,
    reason text,
    lead_id uuid,
    done_at timestamp with time zone,
    result jsonb
);


--
-- Name: streams; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.streams (
    key text NOT NULL,
    sequence bigint DEFAULT 0 NOT NULL,
    parked_at timestamp with time zone
);


--
-- Name: work; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.work (
    id bigint NOT NULL,
    kind text NOT NULL,
    ref text NOT NULL,
    key text NOT NULL,
    payload jsonb NOT NULL,
    cause jsonb NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    owner integer,
    attempts integer DEFAULT 0 NOT NULL,
    in_doubt boolean DEFAULT false NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    note text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT work_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'done'::text, 'parked'::text])))
)
WITH (autovacuum_vacuum_scale_factor='0.02', fillfactor='70');


--
-- Name: work_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.work ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.work_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.alembic_version (version_num) FROM stdin;
0003
\.


--
-- Data for Name: inbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.inbox (id, seen_at) FROM stdin;
ed6e996b-ccc6-55ae-9087-ed290c4251b8	2026-11-28 11:25:25.95358+00
933b6392-c8bc-5869-9a0f-bd73f1603c61	2026-11-28 11:25:26.664459+00
1508ed7f-6377-50d5-bef2-1a8b58f0b6d7	2026-11-28 11:25:26.80162+00
cfc69bd3-e3f5-5434-beef-305d4858497e	2026-11-28 11:25:27.488441+00
25c433f4-68ed-5925-a7c6-c3124dbd28b0	2026-11-28 11:25:27.598286+00
12e3b2ea-34b7-5600-a93d-fe9bb4ccc014	2026-11-28 11:25:27.670243+00
a328d02b-b4f5-55bf-afc5-8b4956cb7654	2026-11-28 11:25:27.795164+00
13815ca5-558a-5706-8853-b3b22f0a6797	2026-11-28 11:25:27.943744+00
3b7c4796-d70c-5e7c-8ca4-64e3932665a3	2026-11-28 11:25:30.438082+00
\.


--
-- Data for Name: leads; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.leads (lead_id, number, portal, partner_id, client_key, client, status, received_at, rejected_at, reason, confirmed_at, reserved_through, reserved_until, expired_at, closed_at, closed_as, story, told) FROM stdin;
b305e82f-5c73-5c16-a0cf-18fb35331811	1	demo	partner-expired	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ	expired	2026-11-28 11:25:25.602021+00	\N	\N	2026-11-28 11:25:25.852446+00	2027-05-28	2027-05-28 21:00:00+00	2027-05-28 21:00:00+00	\N	\N	[["2026-11-28T11:25:25.852446+00:00", "confirmed", "2027-05-28"], ["2027-05-28T21:00:00+00:00", "expired", null]]	2
49089f07-0b31-52c0-aaa2-5e006e891780	2	demo	partner-sold	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow	won	2027-05-30 11:25:26.736364+00	\N	\N	2027-05-30 11:25:26.768435+00	2027-11-30	2027-11-30 21:00:00+00	\N	2027-05-30 11:25:27.477064+00	won	[["2027-05-30T11:25:26.768435+00:00", "confirmed", "2027-11-30"], ["2027-05-30T11:25:27.477064+00:00", "won", "2027-11-30"]]	2
bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	3	demo	partner-live	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiYjcyYmNiMi1kNGVhLTVmZTMtOTdkYy0yYjhhM2UyMDRkMTQifQ..3T0t-LC8_O4n0Fti.vKadhrwtT43vd0eKFGWF0CL5Xy_-7HpjvPynsYV6v6ufT_poEhT-QPOWJXjzysN7CNd4kFfc3pD5Ke6r1XByi4ZsfD4mqtTMDz4UXBOco_eo5hke9ITCVS_gYQwZ.iCNGA2QykqdXpIVBL-8GTw	confirmed	2027-05-30 11:25:27.719997+00	\N	\N	2027-05-30 11:25:27.757272+00	2027-11-30	2027-11-30 21:00:00+00	\N	\N	\N	[["2027-05-30T11:25:27.757272+00:00", "confirmed", "2027-11-30"]]	1
2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	4	demo	partner-parked	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIyYzFjN2ZmZS1mN2ExLTUzOGItOWU2Yi04YzkxMTFiNTZjNWYifQ..HeLu9qQOwUYEoGpY.w6zPjg_VBYzF_5CChwGFQIdyOEXr-Anr40S_mWt3Qv7HBKq05_JFvrx6I4EXrwRjDfVLLnBJ1DQ5G5NmZGJaT11c1ZGeg89iXTib_dMo-F-J58VV0zqZWRpHus8U.JAa_IWgouDTV_GLP_FzHGw	confirmed	2027-05-30 11:25:27.867589+00	\N	\N	2027-05-30 11:25:27.901792+00	2027-11-30	2027-11-30 21:00:00+00	\N	\N	\N	[["2027-05-30T11:25:27.901792+00:00", "confirmed", "2027-11-30"]]	1
3d4ccdbb-c43f-532d-9190-8db7f4f46301	5	demo	partner-waiting	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIzZDRjY2RiYi1jNDNmLTUzMmQtOTE5MC04ZGI3ZjRmNDYzMDEifQ..b8XaerPS1WPaKYB-.82M8YXiJYWcYwHL9zk76VaibFIagsXj0IYAJgnO-Mr6cYn_NJZ0gtDY2i115RmUyN60ATgiXHOI0PAzjSCpfICeIQqNizaSkTmt3ih9A4MjU8-aJWrUjN3QTqunrcdE.9GI2Bu9FR7FxaE6SZvop-g	confirmed	2027-05-30 11:25:30.37685+00	\N	\N	2027-05-30 11:25:30.403802+00	2027-11-30	2027-11-30 21:00:00+00	\N	\N	\N	[["2027-05-30T11:25:30.403802+00:00", "confirmed", "2027-11-30"]]	1
a7929be3-0745-5d18-ba50-f7c417d27db4	6	demo	partner-under-way	k1:c699427da55ae537dcb604d7432530160ba88819299dea47d19b6f5b04ce2666	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJhNzkyOWJlMy0wNzQ1LTVkMTgtYmE1MC1mN2M0MTdkMjdkYjQifQ..OqJvR-ZjnhEJy0k4.WuPo4YzszZArbw03eC7f6hPPKql1mUyqHY52f4xMpkVF78Z-FdlZg-PGYA6K93UwzF5BKX2BpWU1yD-VfDB7JXnYHJPNvLHX6CWpL0JJpCatQw3oqJPNSudn0apr.eYZj5PHWPMhVR_HVI51XNQ	under-review	2027-05-30 11:25:30.626145+00	\N	\N	\N	\N	\N	\N	\N	\N	[]	-1
a2f48293-5247-5d33-87f7-ac9776cf3775	7	demo	partner-unread	k1:51c7fb62918e1a623aa7b9fc0da13b800d76222ab0e0c5c4442fc093cadba82e	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJhMmY0ODI5My01MjQ3LTVkMzMtODdmNy1hYzk3NzZjZjM3NzUifQ..x9Y8KIvR2Uo8Yfxa.ouJoLMAP1cHLMdnAXmXX255vkHdupb30IpPNwueXwQwvEtv_vHWumtGS_dqMpX4HLRkENNNtUA14duCvsvIS_w5AACAeyW5G0JaBREO4MIPYK97q2mZZM8Ck-w.6RXbL9tdlgDtk5Kft_MROw	under-review	2027-05-30 11:25:30.786409+00	\N	\N	\N	\N	\N	\N	\N	\N	[]	-1
\.


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.outbox (id, event_id, owner, topic, key, headers, value, created_at) FROM stdin;
15	fb0c96f5-c2eb-571e-ae22-b90f832e8d3e	1171106610	partners	partner-under-way	[["ce_specversion","1.0"],["ce_id","fb0c96f5-c2eb-571e-ae22-b90f832e8d3e"],["ce_type","partner.v1"],["ce_source","/truce/intake"],["ce_time","2027-05-30T11:25:30.617311+00:00"],["ce_correlationid","72b68aea-1c08-5f91-8f92-6f409be2f5d0"],["ce_causationid","72b68aea-1c08-5f91-8f92-6f409be2f5d0"],["content-type","application/json"],["ce_sequence","1"],["traceparent","00-b276354c0fc9e06d05fc5c5970e3cd00-fb0c96f5c2eb571e-01"]]	\\x7b22706172746e65725f6964223a22706172746e65722d756e6465722d776179222c22706572736f6e223a2265794a68624763694f694a6b615849694c434a6c626d4d694f694a424d6a553252304e4e4969776961326c6b496a6f69637a45694c434a76643234694f694a7759584a30626d56794c5856755a4756794c58646865534a392e2e42717350366d614c4b5642684c5279502e6c42786e6b6c635f584f4f6271696c363950426c616c4f707231544e496f343956345657326f595f4e2d384f587244676b69517342784c6268746b3973503062734c67622d6a5041506941646e684c354a736e6a786e5f61734c7a55435f4e684b34577241533352636e514b38423454373636583837567644672e2d78627a43617769562d66515f4b7a77463043546851222c2261677265656d656e74223a7b226e756d626572223a22412d706172746e65722d756e6465722d776179222c227369676e65645f6f6e223a22323032362d30312d3135227d2c22737461747573223a22616374697665227d	2026-11-28 11:25:30.616749+00
16	c6388a01-6f60-5c6e-8200-a6483913b667	1171106610	leads	k1:c699427da55ae537dcb604d7432530160ba88819299dea47d19b6f5b04ce2666	[["ce_specversion","1.0"],["ce_id","c6388a01-6f60-5c6e-8200-a6483913b667"],["ce_type","lead-submitted.v1"],["ce_source","/truce/intake"],["ce_time","2027-05-30T11:25:30.626145+00:00"],["ce_correlationid","a398c7bc-f9c7-59cf-8421-80cac8d416f9"],["ce_causationid","a398c7bc-f9c7-59cf-8421-80cac8d416f9"],["content-type","application/json"],["ce_subject","a7929be3-0745-5d18-ba50-f7c417d27db4"],["ce_sequence","1"],["traceparent","00-95967c82565afcc2912ec8f58c5fedbb-c6388a016f605c6e-01"]]	\\x7b226c6561645f6964223a2261373932396265332d303734352d356431382d626135302d663763343137643237646234222c22636c69656e745f6b6579223a226b313a63363939343237646135356165353337646362363034643734333235333031363062613838383139323939646561343764313962366635623034636532363636222c22706172746e65725f6964223a22706172746e65722d756e6465722d776179222c22636c69656e74223a2265794a68624763694f694a6b615849694c434a6c626d4d694f694a424d6a553252304e4e4969776961326c6b496a6f69637a45694c434a76643234694f694a684e7a6b794f574a6c4d7930774e7a51314c54566b4d546774596d45314d43316d4e324d304d54646b4d6a646b596a516966512e2e4f714a76522d5a6a6e68454a79306b342e5775506f34597a737a5a41726277303365433766366850504b716c316d557971485935326634784d706b564637385a2d46646c5a672d50475941364b393355777a4635424b5832427057553179442d56664442374a586e59484a504e764c4858364357704c304a4a704361745177336f714a504e5375646e306170722e65595a6a35504857504d6856525f4856493531584e51222c2272656365697665645f6174223a22323032372d30352d33305431313a32353a33302e3632363134355a222c226e756d626572223a362c22636f6e73656e74223a7b22676976656e5f6174223a22323032362d31312d30315431323a30303a30302b30333a3030222c226164766572746973696e67223a66616c73657d7d	2026-11-28 11:25:30.62574+00
17	10c45ff7-5259-561b-8c07-6d6796975685	1171106610	partners	partner-unread	[["ce_specversion","1.0"],["ce_id","10c45ff7-5259-561b-8c07-6d6796975685"],["ce_type","partner.v1"],["ce_source","/truce/intake"],["ce_time","2027-05-30T11:25:30.777565+00:00"],["ce_correlationid","0084074a-b5fd-55e4-ac4e-ef099ecf0c07"],["ce_causationid","0084074a-b5fd-55e4-ac4e-ef099ecf0c07"],["content-type","application/json"],["ce_sequence","1"],["traceparent","00-975b175cd3c367e089552719acf7b279-10c45ff75259561b-01"]]	\\x7b22706172746e65725f6964223a22706172746e65722d756e72656164222c22706572736f6e223a2265794a68624763694f694a6b615849694c434a6c626d4d694f694a424d6a553252304e4e4969776961326c6b496a6f69637a45694c434a76643234694f694a7759584a30626d56794c585675636d56685a434a392e2e305353626d767a6e4978434d344a54752e33713066317937306d304c6d4b53664764373372474b706c5a634d4d6c7a7835453637655f516e6d4b69646637566b4d6c4275534e3965755567534a31616147536a483158315f3372707463742d6677356251764b322d77557558345075365a523247455f2d65456b6537476d444145383030506154547337672e6243577a7a65746c7053574971557a6538355a734c77222c2261677265656d656e74223a7b226e756d626572223a22412d706172746e65722d756e72656164222c227369676e65645f6f6e223a22323032362d30312d3135227d2c22737461747573223a22616374697665227d	2026-11-28 11:25:30.776928+00
18	fcb4d0a0-7014-54ee-81d7-3c4d168d7f28	1171106610	leads	k1:51c7fb62918e1a623aa7b9fc0da13b800d76222ab0e0c5c4442fc093cadba82e	[["ce_specversion","1.0"],["ce_id","fcb4d0a0-7014-54ee-81d7-3c4d168d7f28"],["ce_type","lead-submitted.v1"],["ce_source","/truce/intake"],["ce_time","2027-05-30T11:25:30.786409+00:00"],["ce_correlationid","6794692d-d6a5-58f7-96ea-f69b5024b346"],["ce_causationid","6794692d-d6a5-58f7-96ea-f69b5024b346"],["content-type","application/json"],["ce_subject","a2f48293-5247-5d33-87f7-ac9776cf3775"],["ce_sequence","1"],["traceparent","00-969808829a1eef61597924335b6f586d-fcb4d0a0701454ee-01"]]	\\x7b226c6561645f6964223a2261326634383239332d353234372d356433332d383766372d616339373736636633373735222c22636c69656e745f6b6579223a226b313a35316337666236323931386531613632336161376239666330646131336238303064373632323261623065306335633434343266633039336361646261383265222c22706172746e65725f6964223a22706172746e65722d756e72656164222c22636c69656e74223a2265794a68624763694f694a6b615849694c434a6c626d4d694f694a424d6a553252304e4e4969776961326c6b496a6f69637a45694c434a76643234694f694a684d6d59304f4449354d7930314d6a51334c54566b4d7a4d744f44646d4e793168597a6b334e7a5a6a5a6a4d334e7a556966512e2e783959384b49765232556f38596678612e6f754a6f4c4d41503163484c4d646e41586d5858323535766b486475706233304970504e77756558775177764574765f764857756d7447535f64714d705834484c526b454e4e4e745541313464754376737649535f7735414143416579573547304a614252454f344d4950594b393771326d5a5a4d38436b2d772e365258624c3974646c6744746b354b66745f4d524f77222c2272656365697665645f6174223a22323032372d30352d33305431313a32353a33302e3738363430395a222c226e756d626572223a372c22636f6e73656e74223a7b22676976656e5f6174223a22323032362d31312d30315431323a30303a30302b30333a3030222c226164766572746973696e67223a66616c73657d7d	2026-11-28 11:25:30.785774+00
13	207a4322-eec4-52ea-9b3a-ce1b49053bc9	1171106610	partners	partner-waiting	[["ce_specversion","1.0"],["ce_id","207a4322-eec4-52ea-9b3a-ce1b49053bc9"],["ce_type","partner.v1"],["ce_source","/truce/intake"],["ce_time","2027-05-30T11:25:30.371664+00:00"],["ce_correlationid","24c0dcb9-51f7-54d4-b68a-84e983955ece"],["ce_causationid","24c0dcb9-51f7-54d4-b68a-84e983955ece"],["content-type","application/json"],["ce_sequence","1"],["traceparent","00-c79fe0a540de4f7be327b6c4afc90e97-207a4322eec452ea-01"]]	\\x7b22706172746e65725f6964223a22706172746e65722d77616974696e67222c22706572736f6e223a2265794a68624763694f694a6b615849694c434a6c626d4d694f694a424d6a553252304e4e4969776961326c6b496a6f69637a45694c434a76643234694f694a7759584a30626d56794c58646861585270626d636966512e2e7056424c525730376f535f783662596d2e69376a4445456f5836776141704541304a512d6b56766e6165626e6b6d3249484c79526d5248615f662d625a706766326276332d583250552d4358423651366d6c4a394379573968307268474f4547777a36786b59325a6f4d7a505f476a38675232795035413934706d5847536a5643576a71596146744d45792d513443452e4e4b6e5159324d4b5f4c7a444237774d4b4366305641222c2261677265656d656e74223a7b226e756d626572223a22412d706172746e65722d77616974696e67222c227369676e65645f6f6e223a22323032362d30312d3135227d2c22737461747573223a22616374697665227d	2026-11-28 11:25:30.371127+00
14	9a7a5230-5251-5c96-a8de-177c4ec792c9	1171106610	leads	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	[["ce_specversion","1.0"],["ce_id","9a7a5230-5251-5c96-a8de-177c4ec792c9"],["ce_type","lead-submitted.v1"],["ce_source","/truce/intake"],["ce_time","2027-05-30T11:25:30.376850+00:00"],["ce_correlationid","6c34499e-72cc-5cbd-8933-ccd4db513181"],["ce_causationid","6c34499e-72cc-5cbd-8933-ccd4db513181"],["content-type","application/json"],["ce_subject","3d4ccdbb-c43f-532d-9190-8db7f4f46301"],["ce_sequence","1"],["traceparent","00-f4544ca3ae3e2c1b7af0a00e5f59433a-9a7a523052515c96-01"]]	\\x7b226c6561645f6964223a2233643463636462622d633433662d353332642d393139302d386462376634663436333031222c22636c69656e745f6b6579223a226b313a30633834306138656234666630363264356534373338613436336531343835353664343837303136363932306133313839386638363432353239393332633363222c22706172746e65725f6964223a22706172746e65722d77616974696e67222c22636c69656e74223a2265794a68624763694f694a6b615849694c434a6c626d4d694f694a424d6a553252304e4e4969776961326c6b496a6f69637a45694c434a76643234694f69497a5a44526a593252695969316a4e444e6d4c54557a4d6d51744f5445354d4330345a4749335a6a526d4e44597a4d44456966512e2e6238586165725053315750614b59422d2e38324d385958694a5957635977484c397a6b3736566169624649616773586a304959414a676e4f2d4d723663596e5f4e4a5a30677444593269313135526d55794e36304154676958484f493050417a6a534370664943654951714e697a61536b546d743369683941344d6a55382d614a5772556a4e33515471756e726364452e394749324275394652374678614536535a766f702d67222c2272656365697665645f6174223a22323032372d30352d33305431313a32353a33302e3337363835305a222c226e756d626572223a352c22636f6e73656e74223a7b22676976656e5f6174223a22323032362d31312d30315431323a30303a30302b30333a3030222c226164766572746973696e67223a66616c73657d7d	2026-11-28 11:25:30.376569+00
\.


--
-- Data for Name: parked; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.parked (id, key, token, record) FROM stdin;
\.


--
-- Data for Name: partners; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.partners (partner_id, person, digest, agreement, status) FROM stdin;
partner-expired	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLWV4cGlyZWQifQ..XuZyfBwVhonfG90Q.PRRqn4u-GsWQ_jlhQuSDrZ29K4BARfhbHmUx9LEu0MEWWaq79NISb-8ORUkgxWdHU6bCYdBfiNHKrFbTtTRhtrErnzwsxuFzrg4QZkjZrfDBkAbKd6YQ2a0yxOPi.r1v2PVEjeRZrhvdsnRdwWQ	a72426bddb369c91c78f5465c7aed1069c9dcc7cbe06c5a9ce1ec1e9ce388d8a	{"number": "A-partner-expired", "signed_on": "2026-01-15"}	active
partner-sold	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXNvbGQifQ..ENb5JN7T_CMHmQZZ.KR04DkIwtcc82MVbPt3fAt8lAf22TPN7vGuqocAl7bzudNRlI9Ere275WymvESvRrSlctIc90nFclnaCIV2EwrUZTRBLseEADqDgyQgSwhmSR4uX0Zkqor318w.kX2j7aS7447eYSvIgRquOg	9b99ffae0197880f908fb566897324d77a3039f9919466ef2a08c861ba3f0743	{"number": "A-partner-sold", "signed_on": "2026-01-15"}	active
partner-live	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLWxpdmUifQ..ZTtT9uVDwKsf_e28.Zrom35pnLMpUCqrmkW5w5QH-rwgaWdHXEVxIP51hg_Ge_fwcEgiy3Ll7xYLdi6hQO1RqGC1hLtmubOkBJHLpGjnMm3jw6gGiJt07qtDVUvG1Lzoo0dojHne3AA.thCkpcewDPGLUtvkYa3lpg	d9e220e27a066b1004338904e6415235afc09297019ea1f8b149abd583085b0a	{"number": "A-partner-live", "signed_on": "2026-01-15"}	active
partner-parked	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXBhcmtlZCJ9..kocvbpcBA7sRfQfM.reQk_6p2eD9LFNQ8KPJKojGMwiCG84721iK1v5gD46soTETc_44ZGJ58ck_vCBfDZnMQyGGD87ENJ_ftME4NI_aw_SfaytQnpd-WKWmQs_h6zsDZ9kgNHD56kw._Iq5LnYQmp6eclYbO7zB1A	df6e3a22c05ac933d190ac67c0cd0cabd4960a946cb14afd515ab5f8ad8a1f0e	{"number": "A-partner-parked", "signed_on": "2026-01-15"}	active
partner-waiting	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXdhaXRpbmcifQ..pVBLRW07oS_x6bYm.i7jDEEoX6waApEA0JQ-kVvnaebnkm2IHLyRmRHa_f-bZpgf2bv3-X2PU-CXB6Q6mlJ9CyW9h0rhGOEGwz6xkY2ZoMzP_Gj8gR2yP5A94pmXGSjVCWjqYaFtMEy-Q4CE.NKnQY2MK_LzDB7wMKCf0VA	82548ee56d8a54309aee73752d69098e187a7fbdf7e0769c40ec34ae1350de84	{"number": "A-partner-waiting", "signed_on": "2026-01-15"}	active
partner-under-way	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXVuZGVyLXdheSJ9..BqsP6maLKVBhLRyP.lBxnklc_XOObqil69PBlalOpr1TNIo49V4VW2oY_N-8OXrDgkiQsBxLbhtk9sP0bsLgb-jPAPiAdnhL5Jsnjxn_asLzUC_NhK4WrAS3RcnQK8B4T766X87VvDg.-xbzCawiV-fQ_KzwF0CThQ	0293c1a86c0904d0c190572bc4469e3e488bc061324276f1df77bad21030c734	{"number": "A-partner-under-way", "signed_on": "2026-01-15"}	active
partner-unread	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXVucmVhZCJ9..0SSbmvznIxCM4JTu.3q0f1y70m0LmKSfGd73rGKplZcMMlzx5E67e_QnmKidf7VkMlBuSN9euUgSJ1aaGSjH1X1_3rptct-fw5bQvK2-wUuX4Pu6ZR2GE_-eEke7GmDAE800PaTTs7g.bCWzzetlpSWIqUze85ZsLw	b030f9dc2e84f797e91315665530539a6e1c2ed39f27b2f4bd22cd7d25754eea	{"number": "A-partner-unread", "signed_on": "2026-01-15"}	active
\.


--
-- Data for Name: portals; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.portals (name, scopes, key_hash, changed_at) FROM stdin;
demo	{leads,partners,returns,rewards}	\\x0bad19d6fb654ad2c06c495bf37344fc2489195587ad287dbfad9b20d759cfa3	2026-11-28 11:25:20.074685+00
\.


--
-- Data for Name: requests; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.requests (portal, key, request_id, kind, digest, reason, lead_id, done_at, result) FROM stdin;
demo	1a1a1fc9-21d3-4a4d-a9c5-3ac8fc7a6611	85f83be8-2070-5da4-84cf-114d33e2fc3f	submit-lead.v1	e3924ac28a7c55a6bc7c4c47f872686fd1006d7743086a705cbf6f9c96b8cef1	\N	b305e82f-5c73-5c16-a0cf-18fb35331811	2026-11-28 11:25:25.602021+00	\N
demo	6cd2fe0b-590c-4f8a-b0c9-0785a2822f25	51b9a0cb-d1ae-54de-9110-1a62ce77e84b	submit-lead.v1	8fbf35c8403086bb8a4828462f97d6240454426beaf2e9d7fa7d8afc1ed66d1a	\N	49089f07-0b31-52c0-aaa2-5e006e891780	2027-05-30 11:25:26.736364+00	\N
demo	c46b4f8a-0a55-497a-bdc3-a6c4819b1495	e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2	claim-reward.v1	4c53c83e95843076a50e0e08ba93af6636c5ff6e62f36cb17e402fe13cc40349	\N	49089f07-0b31-52c0-aaa2-5e006e891780	2027-05-30 11:25:27.602733+00	{"claim_id": "e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2"}
demo	8c67abd3-a5bb-4073-9086-55f9a97969d0	7834ebe9-c0b0-5c18-9984-d4becd5ffd49	settle-reward.v1	f47274834a67ebcbdb932f7041f78f0b9b10d28eed6c811000848dacbbdc135a	\N	49089f07-0b31-52c0-aaa2-5e006e891780	2027-05-30 11:25:27.671456+00	{"amount": "190000.00", "claim_id": "e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2", "currency": "RUB"}
demo	cb40158f-0754-4a62-b61e-d536f836b9c3	74fc07e8-7973-500b-9535-98c7ce8d9d7f	submit-lead.v1	cf31d1c45441d742b62dfa65263e5e1e4d098fdd34340593f3dbd455889e9c35	\N	bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	2027-05-30 11:25:27.719997+00	\N
demo	3590fd16-e582-41a3-be56-c9dc55a043f2	9f2369c8-9c28-5eef-b04c-1c3d1298011e	submit-lead.v1	82c0fdbe1bd265a10864df21a5d684e243bda9ec1c9867f79b0cfb939a8e0888	\N	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	2027-05-30 11:25:27.867589+00	\N
demo	f6573d91-674f-4003-a100-f70eb5e8d0ad	5f9e087b-7700-528e-b33a-07aa385c4444	return-lead.v1	e6998560e103dc56b6a3264206e1af96ad0075ca5b986c9362416e7b72b87508	\N	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	\N	\N
demo	80e393bb-0c04-4a74-8d77-16b716b2d359	360df4b5-ba4c-516e-ac12-3b938402db10	return-lead.v1	e6998560e103dc56b6a3264206e1af96ad0075ca5b986c9362416e7b72b87508	\N	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	\N	\N
demo	f61ca7bb-83f4-4fac-b835-b8fc5234c434	fbe90993-84bb-5402-80ba-37147f9c039a	submit-lead.v1	aa16a0a4cae8477bf766a690efec1244d8cb4691c970903ce55fc92121159e83	\N	3d4ccdbb-c43f-532d-9190-8db7f4f46301	2027-05-30 11:25:30.37685+00	\N
demo	d48e7bb6-5d7e-488e-a214-ed25523098dd	2b1237b8-8c97-5124-889d-352d98eb709f	submit-lead.v1	d4d84699564e8150561ee447a3d6867f1c221a8d40a7e26d7285f326fd1962ea	\N	a7929be3-0745-5d18-ba50-f7c417d27db4	2027-05-30 11:25:30.626145+00	\N
demo	d9414a50-4a3a-4a32-aff5-26c989a1c056	c4495ba2-f09f-5978-8f6c-d9669ba64091	submit-lead.v1	ce20f61837422d46985e0ae11befa7e6fcd31ed2758e0bd410f4b451fb8e9dbd	\N	a2f48293-5247-5d33-87f7-ac9776cf3775	2027-05-30 11:25:30.786409+00	\N
\.


--
-- Data for Name: streams; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.streams (key, sequence, parked_at) FROM stdin;
partner-expired	1	\N
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	1	\N
partner-sold	1	\N
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	1	\N
lead:49089f07-0b31-52c0-aaa2-5e006e891780	0	\N
claim:e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2	0	\N
partner-live	1	\N
k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	1	\N
partner-parked	1	\N
k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	3	\N
partner-waiting	1	\N
k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	1	\N
partner-under-way	1	\N
k1:c699427da55ae537dcb604d7432530160ba88819299dea47d19b6f5b04ce2666	1	\N
partner-unread	1	\N
k1:51c7fb62918e1a623aa7b9fc0da13b800d76222ab0e0c5c4442fc093cadba82e	1	\N
\.


--
-- Data for Name: work; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.work (id, kind, ref, key, payload, cause, state, owner, attempts, in_doubt, due_at, note, created_at, finished_at) FROM stdin;
\.


--
-- Name: lead_numbers; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.lead_numbers', 7, true);


--
-- Name: outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outbox_id_seq', 18, true);


--
-- Name: parked_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.parked_id_seq', 1, false);


--
-- Name: work_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.work_id_seq', 1, false);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: inbox inbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);


--
-- Name: leads leads_number_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.leads
    ADD CONSTRAINT leads_number_key UNIQUE (number);


--
-- Name: leads leads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.leads
    ADD CONSTRAINT leads_pkey PRIMARY KEY (lead_id);


--
-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);


--
-- Name: parked parked_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (id);


--
-- Name: parked parked_record_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked
    ADD CONSTRAINT parked_record_key UNIQUE (record);


--
-- Name: parked parked_token_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.parked
    ADD CONSTRAINT parked_token_key UNIQUE (token);


--
-- Name: partners partners_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.partners
    ADD CONSTRAINT partners_pkey PRIMARY KEY (partner_id);


--
-- Name: portals portals_key_hash_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.portals
    ADD CONSTRAINT portals_key_hash_key UNIQUE (key_hash);


--
-- Name: portals portals_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.portals
    ADD CONSTRAINT portals_pkey PRIMARY KEY (name);


--
-- Name: requests requests_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_pkey PRIMARY KEY (portal, key);


--
-- Name: requests requests_request_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.requests
    ADD CONSTRAINT requests_request_id_key UNIQUE (request_id);


--
-- Name: streams streams_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (key);


--
-- Name: work work_kind_ref_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.work
    ADD CONSTRAINT work_kind_ref_key UNIQUE (kind, ref);


--
-- Name: work work_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.work
    ADD CONSTRAINT work_pkey PRIMARY KEY (id);


--
-- Name: inbox_seen_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX inbox_seen_at ON public.inbox USING brin (seen_at);


--
-- Name: leads_of_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX leads_of_client ON public.leads USING btree (client_key, received_at);


--
-- Name: leads_of_partner; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX leads_of_partner ON public.leads USING btree (partner_id, number);


--
-- Name: leads_of_portal; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX leads_of_portal ON public.leads USING btree (portal, number);


--
-- Name: outbox_key; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_key ON public.outbox USING btree (key, id);


--
-- Name: outbox_left; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX outbox_left ON public.outbox USING btree (id) WHERE (owner IS NULL);


--
-- Name: parked_key; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX parked_key ON public.parked USING btree (key, id);


--
-- Name: work_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX work_due ON public.work USING btree (kind, due_at, id) WHERE ((state = 'waiting'::text) AND (owner IS NULL));


--
-- Name: work_finished; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX work_finished ON public.work USING brin (finished_at);


--
-- Name: work_head; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX work_head ON public.work USING btree (key, id) WHERE (state = 'waiting'::text);


--
-- Name: work_owned; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX work_owned ON public.work USING btree (owner) WHERE (owner IS NOT NULL);


--
-- PostgreSQL database dump complete
--

\unrestrict truce

