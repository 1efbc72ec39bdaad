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
-- Name: attempts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.attempts (
    message_id uuid NOT NULL,
    provider text NOT NULL,
    began_at timestamp with time zone NOT NULL,
    sends integer NOT NULL,
    looks integer NOT NULL,
    missing integer NOT NULL,
    partner_id text DEFAULT ''::text NOT NULL,
    polls integer DEFAULT 0 NOT NULL,
    poll_at timestamp with time zone
);


--
-- Name: inbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.inbox (
    id uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: messages; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.messages (
    message_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    client_key text NOT NULL,
    partner_id text NOT NULL,
    template text NOT NULL,
    client text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    status text NOT NULL,
    provider text,
    detail text,
    settled_at timestamp with time zone,
    facts jsonb DEFAULT '{}'::jsonb NOT NULL,
    about text NOT NULL,
    place integer DEFAULT 0 NOT NULL,
    correlation text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    valid_until timestamp with time zone NOT NULL,
    calls integer DEFAULT 1 NOT NULL,
    obsolete text,
    resend_of uuid,
    resent_by text,
    resent_why text,
    CONSTRAINT settled_has_its_time CHECK (((status = ANY (ARRAY['scheduled'::text, 'waiting'::text])) = (settled_at IS NULL))),
    CONSTRAINT status_is_known CHECK ((status = ANY (ARRAY['scheduled'::text, 'waiting'::text, 'sent'::text, 'delivered'::text, 'failed'::text, 'unknown'::text, 'dropped'::text])))
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
-- Name: pace; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.pace (
    kind text NOT NULL,
    next_at timestamp with time zone NOT NULL
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
    status text NOT NULL
);


--
-- Name: providers; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.providers (
    name text NOT NULL,
    asked_at timestamp with time zone NOT NULL,
    error text,
    balance numeric,
    bar text,
    barred_until timestamp with time zone
);


--
-- Name: reports; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reports (
    provider text NOT NULL,
    message_id uuid NOT NULL,
    outcome text NOT NULL,
    code text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
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
-- Data for Name: attempts; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.attempts (message_id, provider, began_at, sends, looks, missing, partner_id, polls, poll_at) FROM stdin;
a41b7f34-2c56-5ae8-b4dd-a1b346d2468a	smsc	2026-11-28 11:25:25.999244+00	1	0	0	partner-expired	0	2026-11-28 11:27:25.999244+00
1f8f21c5-ed47-501c-a6ed-12c6915e42b6	smsc	2026-11-28 11:25:26.679392+00	1	0	0	partner-expired	0	2026-11-28 11:27:26.679392+00
f090bdbc-3633-5172-b8b2-42633745b9fb	smsc	2026-11-28 11:25:26.814273+00	1	0	0	partner-sold	0	2026-11-28 11:27:26.814273+00
b9421321-a505-5909-a53e-4729c3c6d9bc	smsc	2026-11-28 11:25:27.504434+00	1	0	0	partner-sold	0	2026-11-28 11:27:27.504434+00
3aab134e-cfd7-5ce0-9dc9-a5640d4641d0	smsc	2026-11-28 11:25:27.619287+00	1	0	0	partner-sold	0	2026-11-28 11:27:27.619287+00
06566572-3228-5581-90ec-ec3a285e0ad8	smsc	2026-11-28 11:25:27.68978+00	1	0	0	partner-sold	0	2026-11-28 11:27:27.68978+00
5a160714-e230-5bb2-9201-4a6f0ed4f04f	smsc	2026-11-28 11:25:27.800823+00	1	0	0	partner-live	0	2026-11-28 11:27:27.800823+00
179a427c-6ecf-50a5-ae0e-adf418de1fc0	smsc	2026-11-28 11:25:27.961265+00	1	0	0	partner-parked	0	2026-11-28 11:27:27.961265+00
908690a1-287e-5a10-a415-f1e915b2dd6d	smsc	2026-11-28 11:25:30.442782+00	1	0	0	partner-waiting	0	2026-11-28 11:27:30.442782+00
\.


--
-- Data for Name: inbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.inbox (id, seen_at) FROM stdin;
ab9e71ac-dd92-51e2-a8ad-460dbfd29bb3	2026-11-28 11:25:25.797639+00
ed6e996b-ccc6-55ae-9087-ed290c4251b8	2026-11-28 11:25:25.952211+00
933b6392-c8bc-5869-9a0f-bd73f1603c61	2026-11-28 11:25:26.661444+00
9a70f09f-66be-5c8c-bb9a-04dcbaee1fb6	2026-11-28 11:25:26.740758+00
1508ed7f-6377-50d5-bef2-1a8b58f0b6d7	2026-11-28 11:25:26.80168+00
cfc69bd3-e3f5-5434-beef-305d4858497e	2026-11-28 11:25:27.490643+00
25c433f4-68ed-5925-a7c6-c3124dbd28b0	2026-11-28 11:25:27.601657+00
12e3b2ea-34b7-5600-a93d-fe9bb4ccc014	2026-11-28 11:25:27.673434+00
370ec7b4-6513-55e2-ab60-49e288473456	2026-11-28 11:25:27.729119+00
a328d02b-b4f5-55bf-afc5-8b4956cb7654	2026-11-28 11:25:27.791584+00
c6fdbf01-aea6-5917-9eda-8e1aa0e1892e	2026-11-28 11:25:27.869275+00
13815ca5-558a-5706-8853-b3b22f0a6797	2026-11-28 11:25:27.943886+00
32bad17f-0861-54e4-8804-4176f4a1b1b4	2026-11-28 11:25:30.397361+00
3b7c4796-d70c-5e7c-8ca4-64e3932665a3	2026-11-28 11:25:30.435949+00
557a870a-52f8-5ea4-a594-9db819bf95d0	2026-11-28 11:25:30.645886+00
942735b3-8564-5d63-a183-8a7e01bf44d7	2026-11-28 11:25:30.791008+00
\.


--
-- Data for Name: messages; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.messages (message_id, lead_id, client_key, partner_id, template, client, created_at, status, provider, detail, settled_at, facts, about, place, correlation, due_at, valid_until, calls, obsolete, resend_of, resent_by, resent_why) FROM stdin;
a41b7f34-2c56-5ae8-b4dd-a1b346d2468a	b305e82f-5c73-5c16-a0cf-18fb35331811	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	partner-expired	confirmed.v1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ	2026-11-28 11:25:25.960742+00	delivered	smsc	status 1	2026-11-28 11:25:26.025932+00	{"through": "28.05.2027"}	b305e82f-5c73-5c16-a0cf-18fb35331811	0	0a1b3477-9e59-5849-8c09-164f0745f30f	2026-11-28 11:25:25.960742+00	2027-05-28 21:00:00+00	1	\N	\N	\N	\N
1f8f21c5-ed47-501c-a6ed-12c6915e42b6	b305e82f-5c73-5c16-a0cf-18fb35331811	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	partner-expired	expired.v1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ	2027-05-30 11:25:26.666182+00	delivered	smsc	status 1	2027-05-30 11:25:26.694337+00	{}	b305e82f-5c73-5c16-a0cf-18fb35331811	1	0a1b3477-9e59-5849-8c09-164f0745f30f	2027-05-30 11:25:26.666182+00	2027-06-06 11:25:26.666182+00	1	\N	\N	\N	\N
f090bdbc-3633-5172-b8b2-42633745b9fb	49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	partner-sold	confirmed.v1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow	2027-05-30 11:25:26.807635+00	delivered	smsc	status 1	2027-05-30 11:25:26.826587+00	{"through": "30.11.2027"}	49089f07-0b31-52c0-aaa2-5e006e891780	0	c89ad3e7-72c6-51db-b310-903841b5b814	2027-05-30 11:25:26.807635+00	2027-11-30 21:00:00+00	1	\N	\N	\N	\N
b9421321-a505-5909-a53e-4729c3c6d9bc	49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	partner-sold	won.v1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow	2027-05-30 11:25:27.493141+00	delivered	smsc	status 1	2027-05-30 11:25:27.523563+00	{}	49089f07-0b31-52c0-aaa2-5e006e891780	1	c89ad3e7-72c6-51db-b310-903841b5b814	2027-05-30 11:25:27.493141+00	2027-06-06 11:25:27.493141+00	1	\N	\N	\N	\N
3aab134e-cfd7-5ce0-9dc9-a5640d4641d0	49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	partner-sold	claim-accepted.v1		2027-05-30 11:25:27.606093+00	delivered	smsc	status 1	2027-05-30 11:25:27.62583+00	{"contract": "17/05"}	e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2	2	b36b9021-89b3-517d-a450-33f4c223f580	2027-05-30 11:25:27.606093+00	2027-06-06 11:25:27.606093+00	1	\N	\N	\N	\N
06566572-3228-5581-90ec-ec3a285e0ad8	49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	partner-sold	accrued.v1		2027-05-30 11:25:27.674272+00	delivered	smsc	status 1	2027-05-30 11:25:27.694812+00	{"amount": "190000.00", "contract": "17/05", "currency": "RUB"}	e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2	3	4c79c0b9-2336-524c-a486-b2f3e5735569	2027-05-30 11:25:27.674272+00	2027-06-06 11:25:27.674272+00	1	\N	\N	\N	\N
5a160714-e230-5bb2-9201-4a6f0ed4f04f	bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	partner-live	confirmed.v1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiYjcyYmNiMi1kNGVhLTVmZTMtOTdkYy0yYjhhM2UyMDRkMTQifQ..3T0t-LC8_O4n0Fti.vKadhrwtT43vd0eKFGWF0CL5Xy_-7HpjvPynsYV6v6ufT_poEhT-QPOWJXjzysN7CNd4kFfc3pD5Ke6r1XByi4ZsfD4mqtTMDz4UXBOco_eo5hke9ITCVS_gYQwZ.iCNGA2QykqdXpIVBL-8GTw	2027-05-30 11:25:27.794667+00	delivered	smsc	status 1	2027-05-30 11:25:27.81244+00	{"through": "30.11.2027"}	bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	0	f33ff49d-a175-5829-8ba8-00b9db6d03f3	2027-05-30 11:25:27.794667+00	2027-11-30 21:00:00+00	1	\N	\N	\N	\N
179a427c-6ecf-50a5-ae0e-adf418de1fc0	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	partner-parked	confirmed.v1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIyYzFjN2ZmZS1mN2ExLTUzOGItOWU2Yi04YzkxMTFiNTZjNWYifQ..HeLu9qQOwUYEoGpY.w6zPjg_VBYzF_5CChwGFQIdyOEXr-Anr40S_mWt3Qv7HBKq05_JFvrx6I4EXrwRjDfVLLnBJ1DQ5G5NmZGJaT11c1ZGeg89iXTib_dMo-F-J58VV0zqZWRpHus8U.JAa_IWgouDTV_GLP_FzHGw	2027-05-30 11:25:27.946027+00	delivered	smsc	status 1	2027-05-30 11:25:27.969487+00	{"through": "30.11.2027"}	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	0	465cc1ad-8a41-506d-95d5-cc8dbe087432	2027-05-30 11:25:27.946027+00	2027-11-30 21:00:00+00	1	\N	\N	\N	\N
908690a1-287e-5a10-a415-f1e915b2dd6d	3d4ccdbb-c43f-532d-9190-8db7f4f46301	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	partner-waiting	confirmed.v1	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIzZDRjY2RiYi1jNDNmLTUzMmQtOTE5MC04ZGI3ZjRmNDYzMDEifQ..b8XaerPS1WPaKYB-.82M8YXiJYWcYwHL9zk76VaibFIagsXj0IYAJgnO-Mr6cYn_NJZ0gtDY2i115RmUyN60ATgiXHOI0PAzjSCpfICeIQqNizaSkTmt3ih9A4MjU8-aJWrUjN3QTqunrcdE.9GI2Bu9FR7FxaE6SZvop-g	2027-05-30 11:25:30.43735+00	waiting	\N	\N	\N	{"through": "30.11.2027"}	3d4ccdbb-c43f-532d-9190-8db7f4f46301	0	6c34499e-72cc-5cbd-8933-ccd4db513181	2027-05-30 11:25:30.43735+00	2027-11-30 21:00:00+00	1	\N	\N	\N	\N
\.


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.outbox (id, event_id, owner, topic, key, headers, value, created_at) FROM stdin;
\.


--
-- Data for Name: pace; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.pace (kind, next_at) FROM stdin;
scheduled	2026-11-28 11:25:17.461493+00
\.


--
-- Data for Name: parked; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.parked (id, key, token, record) FROM stdin;
\.


--
-- Data for Name: partners; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.partners (partner_id, person, status) FROM stdin;
partner-expired	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLWV4cGlyZWQifQ..XuZyfBwVhonfG90Q.PRRqn4u-GsWQ_jlhQuSDrZ29K4BARfhbHmUx9LEu0MEWWaq79NISb-8ORUkgxWdHU6bCYdBfiNHKrFbTtTRhtrErnzwsxuFzrg4QZkjZrfDBkAbKd6YQ2a0yxOPi.r1v2PVEjeRZrhvdsnRdwWQ	active
partner-sold	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXNvbGQifQ..ENb5JN7T_CMHmQZZ.KR04DkIwtcc82MVbPt3fAt8lAf22TPN7vGuqocAl7bzudNRlI9Ere275WymvESvRrSlctIc90nFclnaCIV2EwrUZTRBLseEADqDgyQgSwhmSR4uX0Zkqor318w.kX2j7aS7447eYSvIgRquOg	active
partner-live	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLWxpdmUifQ..ZTtT9uVDwKsf_e28.Zrom35pnLMpUCqrmkW5w5QH-rwgaWdHXEVxIP51hg_Ge_fwcEgiy3Ll7xYLdi6hQO1RqGC1hLtmubOkBJHLpGjnMm3jw6gGiJt07qtDVUvG1Lzoo0dojHne3AA.thCkpcewDPGLUtvkYa3lpg	active
partner-parked	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXBhcmtlZCJ9..kocvbpcBA7sRfQfM.reQk_6p2eD9LFNQ8KPJKojGMwiCG84721iK1v5gD46soTETc_44ZGJ58ck_vCBfDZnMQyGGD87ENJ_ftME4NI_aw_SfaytQnpd-WKWmQs_h6zsDZ9kgNHD56kw._Iq5LnYQmp6eclYbO7zB1A	active
partner-waiting	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXdhaXRpbmcifQ..pVBLRW07oS_x6bYm.i7jDEEoX6waApEA0JQ-kVvnaebnkm2IHLyRmRHa_f-bZpgf2bv3-X2PU-CXB6Q6mlJ9CyW9h0rhGOEGwz6xkY2ZoMzP_Gj8gR2yP5A94pmXGSjVCWjqYaFtMEy-Q4CE.NKnQY2MK_LzDB7wMKCf0VA	active
partner-under-way	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXVuZGVyLXdheSJ9..BqsP6maLKVBhLRyP.lBxnklc_XOObqil69PBlalOpr1TNIo49V4VW2oY_N-8OXrDgkiQsBxLbhtk9sP0bsLgb-jPAPiAdnhL5Jsnjxn_asLzUC_NhK4WrAS3RcnQK8B4T766X87VvDg.-xbzCawiV-fQ_KzwF0CThQ	active
partner-unread	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXVucmVhZCJ9..0SSbmvznIxCM4JTu.3q0f1y70m0LmKSfGd73rGKplZcMMlzx5E67e_QnmKidf7VkMlBuSN9euUgSJ1aaGSjH1X1_3rptct-fw5bQvK2-wUuX4Pu6ZR2GE_-eEke7GmDAE800PaTTs7g.bCWzzetlpSWIqUze85ZsLw	active
\.


--
-- Data for Name: providers; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.providers (name, asked_at, error, balance, bar, barred_until) FROM stdin;
smsc	2026-11-28 11:25:24.625234+00	\N	100000.00	\N	\N
\.


--
-- Data for Name: reports; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.reports (provider, message_id, outcome, code, at) FROM stdin;
\.


--
-- Data for Name: streams; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.streams (key, sequence, parked_at) FROM stdin;
partner-expired	0	\N
partner-sold	0	\N
partner-live	0	\N
partner-parked	0	\N
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	4	\N
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	8	\N
k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	2	\N
k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	2	\N
partner-waiting	0	\N
k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	0	\N
partner-under-way	0	\N
partner-unread	0	\N
\.


--
-- Data for Name: work; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.work (id, kind, ref, key, payload, cause, state, owner, attempts, in_doubt, due_at, note, created_at, finished_at) FROM stdin;
1	sms	a41b7f34-2c56-5ae8-b4dd-a1b346d2468a.1	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	{"lead_id": "b305e82f-5c73-5c16-a0cf-18fb35331811", "partner_id": "partner-expired"}	{"id": "ae9d6cff-e25c-5f4c-ae6e-05ccd46fb977", "correlation": "0a1b3477-9e59-5849-8c09-164f0745f30f", "traceparent": "00-3debc3584dfc5fa3c3a788c9ce414cf7-ae9d6cffe25c5f4c-01"}	done	\N	1	f	2026-11-28 11:25:25.952211+00	\N	2026-11-28 11:25:25.952211+00	2026-11-28 11:25:26.021426+00
2	sms	1f8f21c5-ed47-501c-a6ed-12c6915e42b6.1	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	{"lead_id": "b305e82f-5c73-5c16-a0cf-18fb35331811", "partner_id": "partner-expired"}	{"id": "4783a50d-1442-5616-bfe0-ef2c406fc8cd", "correlation": "0a1b3477-9e59-5849-8c09-164f0745f30f", "traceparent": "00-3debc3584dfc5fa3c3a788c9ce414cf7-4783a50d14425616-01"}	done	\N	1	f	2026-11-28 11:25:26.661444+00	\N	2026-11-28 11:25:26.661444+00	2026-11-28 11:25:26.69072+00
3	sms	f090bdbc-3633-5172-b8b2-42633745b9fb.1	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	{"lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "partner_id": "partner-sold"}	{"id": "4a669c4c-f103-59d3-8bbf-f06bcf084417", "correlation": "c89ad3e7-72c6-51db-b310-903841b5b814", "traceparent": "00-aa982b6be8e7dcb2bec795489cb32ce8-4a669c4cf10359d3-01"}	done	\N	1	f	2026-11-28 11:25:26.80168+00	\N	2026-11-28 11:25:26.80168+00	2026-11-28 11:25:26.823392+00
4	sms	b9421321-a505-5909-a53e-4729c3c6d9bc.1	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	{"lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "partner_id": "partner-sold"}	{"id": "410c5278-273a-5a24-819d-c4354554a54e", "correlation": "c89ad3e7-72c6-51db-b310-903841b5b814", "traceparent": "00-aa982b6be8e7dcb2bec795489cb32ce8-410c5278273a5a24-01"}	done	\N	1	f	2026-11-28 11:25:27.490643+00	\N	2026-11-28 11:25:27.490643+00	2026-11-28 11:25:27.512914+00
5	sms	3aab134e-cfd7-5ce0-9dc9-a5640d4641d0.1	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	{"lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "partner_id": "partner-sold"}	{"id": "fddbce4b-1a05-5ba8-9c86-1fbd71ef1869", "correlation": "b36b9021-89b3-517d-a450-33f4c223f580", "traceparent": "00-dfbe153bab55c71270db47525c9940fa-fddbce4b1a055ba8-01"}	done	\N	1	f	2026-11-28 11:25:27.601657+00	\N	2026-11-28 11:25:27.601657+00	2026-11-28 11:25:27.625018+00
6	sms	06566572-3228-5581-90ec-ec3a285e0ad8.1	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	{"lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "partner_id": "partner-sold"}	{"id": "36c00bc4-2582-5c41-9864-b52e804b0905", "correlation": "4c79c0b9-2336-524c-a486-b2f3e5735569", "traceparent": "00-386936972daa87863944fb0727d32186-36c00bc425825c41-01"}	done	\N	1	f	2026-11-28 11:25:27.673434+00	\N	2026-11-28 11:25:27.673434+00	2026-11-28 11:25:27.694246+00
7	sms	5a160714-e230-5bb2-9201-4a6f0ed4f04f.1	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	{"lead_id": "bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14", "partner_id": "partner-live"}	{"id": "e1e1cda6-5cfe-5f8b-affd-316f581bd49a", "correlation": "f33ff49d-a175-5829-8ba8-00b9db6d03f3", "traceparent": "00-0a5e51e05b833f6575cc73071ac13a3d-e1e1cda65cfe5f8b-01"}	done	\N	1	f	2026-11-28 11:25:27.791584+00	\N	2026-11-28 11:25:27.791584+00	2026-11-28 11:25:27.811873+00
8	sms	179a427c-6ecf-50a5-ae0e-adf418de1fc0.1	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	{"lead_id": "2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f", "partner_id": "partner-parked"}	{"id": "d792ed20-da13-5c98-bbac-d49dfe5b921c", "correlation": "465cc1ad-8a41-506d-95d5-cc8dbe087432", "traceparent": "00-54f8410f335d34889d2f896d6634a67f-d792ed20da135c98-01"}	done	\N	1	f	2026-11-28 11:25:27.943886+00	\N	2026-11-28 11:25:27.943886+00	2026-11-28 11:25:27.969067+00
9	sms	908690a1-287e-5a10-a415-f1e915b2dd6d.1	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	{"lead_id": "3d4ccdbb-c43f-532d-9190-8db7f4f46301", "partner_id": "partner-waiting"}	{"id": "47f7c461-4f73-56c6-8c1f-0b8e6f1e580a", "correlation": "6c34499e-72cc-5cbd-8933-ccd4db513181", "traceparent": "00-f4544ca3ae3e2c1b7af0a00e5f59433a-47f7c4614f7356c6-01"}	waiting	\N	1	t	2026-11-28 11:25:35.460576+00	http-500	2026-11-28 11:25:30.435949+00	\N
\.


--
-- Name: outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outbox_id_seq', 16, true);


--
-- Name: parked_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.parked_id_seq', 1, false);


--
-- Name: work_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.work_id_seq', 9, true);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: attempts attempts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.attempts
    ADD CONSTRAINT attempts_pkey PRIMARY KEY (message_id);


--
-- Name: inbox inbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);


--
-- Name: messages messages_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (message_id);


--
-- Name: outbox outbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id);


--
-- Name: pace pace_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.pace
    ADD CONSTRAINT pace_pkey PRIMARY KEY (kind);


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
-- Name: providers providers_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.providers
    ADD CONSTRAINT providers_pkey PRIMARY KEY (name);


--
-- Name: reports reports_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reports
    ADD CONSTRAINT reports_pkey PRIMARY KEY (provider, message_id, outcome);


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
-- Name: ix_attempts_partner_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_attempts_partner_id ON public.attempts USING btree (partner_id, began_at);


--
-- Name: ix_attempts_poll_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_attempts_poll_at ON public.attempts USING btree (poll_at) WHERE (poll_at IS NOT NULL);


--
-- Name: ix_messages_client_key; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_messages_client_key ON public.messages USING btree (client_key);


--
-- Name: ix_messages_lead_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_messages_lead_id ON public.messages USING btree (lead_id);


--
-- Name: ix_messages_scheduled; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_messages_scheduled ON public.messages USING btree (due_at, created_at, place) WHERE (status = 'scheduled'::text);


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

