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

--
-- Name: append_only(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: facts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.facts (
    client_key text NOT NULL,
    kind text NOT NULL,
    ref text NOT NULL,
    due_at timestamp with time zone,
    value jsonb NOT NULL
);


--
-- Name: heads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.heads (
    client_key text NOT NULL,
    count integer NOT NULL,
    hash text NOT NULL,
    seal text NOT NULL
);


--
-- Name: history; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.history (
    client_key text NOT NULL,
    number integer NOT NULL,
    entry text NOT NULL,
    hash text NOT NULL
);


--
-- Name: inbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.inbox (
    id uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: ledger; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.ledger (
    number bigint NOT NULL,
    entry_id uuid NOT NULL,
    partner_id text NOT NULL,
    client_key text NOT NULL,
    lead_id uuid NOT NULL,
    claim_id uuid NOT NULL,
    deal text NOT NULL,
    contract_number text NOT NULL,
    kind text NOT NULL,
    amount numeric(18,2) NOT NULL,
    currency text NOT NULL,
    decided_by text NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: ledger_balances; Type: VIEW; Schema: public; Owner: -
--

CREATE VIEW public.ledger_balances AS
 SELECT number,
    entry_id,
    partner_id,
    client_key,
    lead_id,
    claim_id,
    deal,
    contract_number,
    kind,
    amount,
    currency,
    decided_by,
    reason,
    at,
    sum(amount) OVER (PARTITION BY partner_id, currency ORDER BY number) AS balance
   FROM public.ledger l;


--
-- Name: ledger_number_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.ledger ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.ledger_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
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
-- Name: reservations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.reservations (
    reservation_id uuid NOT NULL,
    lead_id uuid NOT NULL,
    client_key text NOT NULL,
    partner_id text NOT NULL,
    client text NOT NULL,
    confirmed_at timestamp with time zone NOT NULL,
    reserved_through date NOT NULL,
    reserved_until timestamp with time zone NOT NULL,
    status text NOT NULL,
    cause jsonb NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    rule text NOT NULL,
    zone text NOT NULL,
    since date NOT NULL,
    next_due timestamp with time zone NOT NULL,
    next_step integer NOT NULL,
    told_step integer,
    extensions integer NOT NULL,
    returns integer NOT NULL,
    ended_at timestamp with time zone,
    deal text,
    earlier jsonb NOT NULL,
    CONSTRAINT reservations_status_check CHECK ((status = ANY (ARRAY['live'::text, 'expired'::text, 'won'::text, 'withdrawn'::text])))
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
-- Data for Name: facts; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.facts (client_key, kind, ref, due_at, value) FROM stdin;
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	request	e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2	\N	{"type": "reward-claimed.v1", "cause": {"id": "5aa8557d-69b8-5c3b-be43-58acc830b885", "correlation": "b36b9021-89b3-517d-a450-33f4c223f580", "traceparent": "00-dfbe153bab55c71270db47525c9940fa-5aa8557d69b85c3b-01"}, "state": "answered", "until": "2027-06-13T11:25:27.565775+00:00", "message": {"note": null, "portal": "demo", "lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "claim_id": "e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2", "client_key": "k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1", "partner_id": "partner-sold", "request_id": "e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2", "requested_at": "2027-05-30T11:25:27.565775Z", "portal_request_id": "c46b4f8a-0a55-497a-bdc3-a6c4819b1495"}}
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	deal	35300213-de57-4121-b880-424206e2c337	\N	{"ref": "35300213-de57-4121-b880-424206e2c337", "amount": "9500000.00", "inside": true, "lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "sold_on": "2027-05-30", "claim_id": "e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2", "currency": "RUB", "cancelled": false, "contract_number": "17/05"}
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	request	7834ebe9-c0b0-5c18-9984-d4becd5ffd49	\N	{"type": "reward-settlement-requested.v1", "cause": {"id": "15ebfb58-c41c-5505-95ee-3070f22ac8a2", "correlation": "4c79c0b9-2336-524c-a486-b2f3e5735569", "traceparent": "00-386936972daa87863944fb0727d32186-15ebfb58c41c5505-01"}, "state": "answered", "until": null, "message": {"amount": "190000.00", "portal": "demo", "reason": "2% of the contract", "lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "claim_id": "e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2", "currency": "RUB", "decision": "accrue", "client_key": "k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1", "decided_by": "vera", "partner_id": "partner-sold", "request_id": "7834ebe9-c0b0-5c18-9984-d4becd5ffd49", "requested_at": "2027-05-30T11:25:27.637371Z", "portal_request_id": "8c67abd3-a5bb-4073-9086-55f9a97969d0"}}
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	claim	e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2	\N	{"deal": "35300213-de57-4121-b880-424206e2c337", "state": "accrued", "accrued": "190000.00", "lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "claim_id": "e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2", "currency": "RUB", "partner_id": "partner-sold"}
\.


--
-- Data for Name: heads; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.heads (client_key, count, hash, seal) FROM stdin;
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	2	c9cdb45d2793917d7c3b2a392a0e6360d3484b9a9c72861b8a30099aeb8fa8c6	02834c8e70f832f783a440c1a2a2803576bf94ced6c12f5488fc7b335f9b7570
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	4	983743c6c23778d6675b0f4f050ba0e06fec00de91bae60ee2ddea79944ec72a	01c70c909897b716f5d77fdcf3f647c96819c7ab5758623c63275da9d7ef1300
k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	1	f753240c51e621014e2a0c0237b63316c8bc8e4efe3e905962fef92441dbdfa2	c4b1e845a57a63bda9a42f2f960227c409ed8e5328279e9c29acc50c59cc297d
k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	1	f43b3ccc99011cd47441dce6161180703c4fd8fbec754308c74999263c1cdd54	27f793dea3fbffb20a329b6f7b45874f1862ca8cdfd11f0106b089ccbd0ae11e
k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	1	889f3930d1e1780e595a85a684dd6e75282984110cdcf3c6526e289645b485d1	62f4dff7ceb29849649e7fea66e938665fec1ea29ec51b0248d3f23dd6859e08
\.


--
-- Data for Name: history; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.history (client_key, number, entry, hash) FROM stdin;
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	1	{"anchor":"2026-11-28T11:25:25.852446+00:00","at":"2026-11-28T11:25:25.927602+00:00","lead":"b305e82f-5c73-5c16-a0cf-18fb35331811","partner":"partner-expired","rule":"P6M","through":"2027-05-28","what":"opened","zone":"Europe/Moscow"}	cfe341fa08b660924dda086741d830bcf9f3e5adeb590652e3213685b1193b78
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	2	{"at":"2027-05-30T11:25:26.646286+00:00","lead":"b305e82f-5c73-5c16-a0cf-18fb35331811","through":"2027-05-28","what":"expired"}	c9cdb45d2793917d7c3b2a392a0e6360d3484b9a9c72861b8a30099aeb8fa8c6
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	1	{"anchor":"2027-05-30T11:25:26.768435+00:00","at":"2027-05-30T11:25:26.788200+00:00","lead":"49089f07-0b31-52c0-aaa2-5e006e891780","partner":"partner-sold","rule":"P6M","through":"2027-11-30","what":"opened","zone":"Europe/Moscow"}	3d760ea0404345025385f5e07b5a698d3c5938620f82efbee385853408e4afe5
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	2	{"amount":"9500000.00","at":"2027-05-30T11:25:27.477064+00:00","contract":"17/05","currency":"RUB","deal":"35300213-de57-4121-b880-424206e2c337","lead":"49089f07-0b31-52c0-aaa2-5e006e891780","sold_on":"2027-05-30","what":"won"}	8418fbb34383b5260696dba4d42971db9625e457122d627d477f7d5c0af65c54
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	3	{"at":"2027-05-30T11:25:27.588473+00:00","claim":"e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2","deal":"35300213-de57-4121-b880-424206e2c337","lead":"49089f07-0b31-52c0-aaa2-5e006e891780","what":"claim-accepted"}	7c30a06b085a0d7816ec6df12e9e9af38b979faaa55ef2045d35ba68a21c257f
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	4	{"amount":"190000.00","at":"2027-05-30T11:25:27.658712+00:00","claim":"e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2","currency":"RUB","lead":"49089f07-0b31-52c0-aaa2-5e006e891780","what":"accrued","who":"vera","why":"2% of the contract"}	983743c6c23778d6675b0f4f050ba0e06fec00de91bae60ee2ddea79944ec72a
k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	1	{"anchor":"2027-05-30T11:25:27.757272+00:00","at":"2027-05-30T11:25:27.775077+00:00","lead":"bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14","partner":"partner-live","rule":"P6M","through":"2027-11-30","what":"opened","zone":"Europe/Moscow"}	f753240c51e621014e2a0c0237b63316c8bc8e4efe3e905962fef92441dbdfa2
k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	1	{"anchor":"2027-05-30T11:25:27.901792+00:00","at":"2027-05-30T11:25:27.928014+00:00","lead":"2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f","partner":"partner-parked","rule":"P6M","through":"2027-11-30","what":"opened","zone":"Europe/Moscow"}	f43b3ccc99011cd47441dce6161180703c4fd8fbec754308c74999263c1cdd54
k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	1	{"anchor":"2027-05-30T11:25:30.403802+00:00","at":"2027-05-30T11:25:30.425292+00:00","lead":"3d4ccdbb-c43f-532d-9190-8db7f4f46301","partner":"partner-waiting","rule":"P6M","through":"2027-11-30","what":"opened","zone":"Europe/Moscow"}	889f3930d1e1780e595a85a684dd6e75282984110cdcf3c6526e289645b485d1
\.


--
-- Data for Name: inbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.inbox (id, seen_at) FROM stdin;
7b4ab1c5-5816-5e41-b56f-e4baa5eade9a	2026-11-28 11:25:25.902461+00
5c82faf1-757a-5169-ad20-51622cf78e53	2026-11-28 11:25:26.783746+00
59178c0f-b682-5935-bfcc-dc83775a9349	2026-11-28 11:25:27.47528+00
314e335c-3c4b-5997-b4c8-8956d658eeb7	2026-11-28 11:25:27.587229+00
d4a80bbb-fc5a-56d2-b931-d9ad2d727f9e	2026-11-28 11:25:27.652782+00
1ac0dded-1670-563f-9b9f-550ff84c2ca8	2026-11-28 11:25:27.772756+00
3fece538-fce1-5c97-9079-f9581ee0df9a	2026-11-28 11:25:27.922738+00
5b99feae-53c8-516e-8d19-ad49528abc29	2026-11-28 11:25:30.421258+00
\.


--
-- Data for Name: ledger; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.ledger (number, entry_id, partner_id, client_key, lead_id, claim_id, deal, contract_number, kind, amount, currency, decided_by, reason, at) FROM stdin;
1	87ac134b-9d90-5187-913b-fe8da470fc92	partner-sold	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	49089f07-0b31-52c0-aaa2-5e006e891780	e2b7530a-c6cb-5fc2-a21f-7dec46fc2ce2	35300213-de57-4121-b880-424206e2c337	17/05	accrual	190000.00	RUB	vera	2% of the contract	2027-05-30 11:25:27.658712+00
\.


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.outbox (id, event_id, owner, topic, key, headers, value, created_at) FROM stdin;
\.


--
-- Data for Name: parked; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.parked (id, key, token, record) FROM stdin;
1	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	18ec31d1-ae45-1ca6-c2d9-777fe6cbcf3e	4fc2f523-fb77-506f-90a7-e902c7b84ef5
2	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	18ec31d2-1eb1-89a0-e2f9-30093d2ef23b	ca7d0e69-9e78-5791-a093-dcf612b9b427
\.


--
-- Data for Name: reservations; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.reservations (reservation_id, lead_id, client_key, partner_id, client, confirmed_at, reserved_through, reserved_until, status, cause, opened_at, rule, zone, since, next_due, next_step, told_step, extensions, returns, ended_at, deal, earlier) FROM stdin;
b00b82e0-46b8-5b6d-8288-bb28966405a2	b305e82f-5c73-5c16-a0cf-18fb35331811	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	partner-expired	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ	2026-11-28 11:25:25.852446+00	2027-05-28	2027-05-28 21:00:00+00	expired	{"id": "d50e9d03-8527-5793-a120-860e057175d5", "correlation": "0a1b3477-9e59-5849-8c09-164f0745f30f", "traceparent": "00-3debc3584dfc5fa3c3a788c9ce414cf7-d50e9d0385275793-01"}	2026-11-28 11:25:25.852446+00	P6M	Europe/Moscow	2026-11-28	2027-04-27 21:00:00+00	30	\N	0	0	2027-05-28 21:00:00+00	\N	[]
31a2cdcc-f7da-5a0a-b798-63467e913062	49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	partner-sold	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow	2027-05-30 11:25:26.768435+00	2027-11-30	2027-11-30 21:00:00+00	won	{"id": "a9b4a24a-4b90-56a6-b38a-31e9cc9f3aac", "correlation": "c89ad3e7-72c6-51db-b310-903841b5b814", "traceparent": "00-aa982b6be8e7dcb2bec795489cb32ce8-a9b4a24a4b9056a6-01"}	2027-05-30 11:25:26.768435+00	P6M	Europe/Moscow	2027-05-30	2027-10-30 21:00:00+00	30	\N	0	0	2027-05-30 11:25:27.477064+00	35300213-de57-4121-b880-424206e2c337	[]
2d9770a8-5981-5d5b-9147-72eb2ca73892	bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	partner-live	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiYjcyYmNiMi1kNGVhLTVmZTMtOTdkYy0yYjhhM2UyMDRkMTQifQ..3T0t-LC8_O4n0Fti.vKadhrwtT43vd0eKFGWF0CL5Xy_-7HpjvPynsYV6v6ufT_poEhT-QPOWJXjzysN7CNd4kFfc3pD5Ke6r1XByi4ZsfD4mqtTMDz4UXBOco_eo5hke9ITCVS_gYQwZ.iCNGA2QykqdXpIVBL-8GTw	2027-05-30 11:25:27.757272+00	2027-11-30	2027-11-30 21:00:00+00	live	{"id": "1e0cd374-0267-54f2-8087-f4358e1d9336", "correlation": "f33ff49d-a175-5829-8ba8-00b9db6d03f3", "traceparent": "00-0a5e51e05b833f6575cc73071ac13a3d-1e0cd374026754f2-01"}	2027-05-30 11:25:27.757272+00	P6M	Europe/Moscow	2027-05-30	2027-10-30 21:00:00+00	30	\N	0	0	\N	\N	[]
b22af2a9-91a0-5395-8df9-4cabe6519df6	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	partner-parked	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIyYzFjN2ZmZS1mN2ExLTUzOGItOWU2Yi04YzkxMTFiNTZjNWYifQ..HeLu9qQOwUYEoGpY.w6zPjg_VBYzF_5CChwGFQIdyOEXr-Anr40S_mWt3Qv7HBKq05_JFvrx6I4EXrwRjDfVLLnBJ1DQ5G5NmZGJaT11c1ZGeg89iXTib_dMo-F-J58VV0zqZWRpHus8U.JAa_IWgouDTV_GLP_FzHGw	2027-05-30 11:25:27.901792+00	2027-11-30	2027-11-30 21:00:00+00	live	{"id": "601c250e-b5ea-5282-8e29-7e97cf9aa586", "correlation": "465cc1ad-8a41-506d-95d5-cc8dbe087432", "traceparent": "00-54f8410f335d34889d2f896d6634a67f-601c250eb5ea5282-01"}	2027-05-30 11:25:27.901792+00	P6M	Europe/Moscow	2027-05-30	2027-10-30 21:00:00+00	30	\N	0	0	\N	\N	[]
c83ec23f-8bc4-500b-ab37-99f755f4dc25	3d4ccdbb-c43f-532d-9190-8db7f4f46301	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	partner-waiting	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIzZDRjY2RiYi1jNDNmLTUzMmQtOTE5MC04ZGI3ZjRmNDYzMDEifQ..b8XaerPS1WPaKYB-.82M8YXiJYWcYwHL9zk76VaibFIagsXj0IYAJgnO-Mr6cYn_NJZ0gtDY2i115RmUyN60ATgiXHOI0PAzjSCpfICeIQqNizaSkTmt3ih9A4MjU8-aJWrUjN3QTqunrcdE.9GI2Bu9FR7FxaE6SZvop-g	2027-05-30 11:25:30.403802+00	2027-11-30	2027-11-30 21:00:00+00	live	{"id": "00160ecc-9e18-5e01-a8e3-54447018a453", "correlation": "6c34499e-72cc-5cbd-8933-ccd4db513181", "traceparent": "00-f4544ca3ae3e2c1b7af0a00e5f59433a-00160ecc9e185e01-01"}	2027-05-30 11:25:30.403802+00	P6M	Europe/Moscow	2027-05-30	2027-10-30 21:00:00+00	30	\N	0	0	\N	\N	[]
\.


--
-- Data for Name: streams; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.streams (key, sequence, parked_at) FROM stdin;
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	2	\N
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	4	\N
k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	1	\N
k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	1	2026-11-28 11:25:28.050269+00
k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	1	\N
\.


--
-- Data for Name: work; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.work (id, kind, ref, key, payload, cause, state, owner, attempts, in_doubt, due_at, note, created_at, finished_at) FROM stdin;
\.


--
-- Name: ledger_number_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.ledger_number_seq', 1, true);


--
-- Name: outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outbox_id_seq', 13, true);


--
-- Name: parked_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.parked_id_seq', 2, true);


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
-- Name: facts facts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.facts
    ADD CONSTRAINT facts_pkey PRIMARY KEY (client_key, kind, ref);


--
-- Name: heads heads_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.heads
    ADD CONSTRAINT heads_pkey PRIMARY KEY (client_key);


--
-- Name: history history_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.history
    ADD CONSTRAINT history_pkey PRIMARY KEY (client_key, number);


--
-- Name: inbox inbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);


--
-- Name: ledger ledger_number_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_number_key UNIQUE (number);


--
-- Name: ledger ledger_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.ledger
    ADD CONSTRAINT ledger_pkey PRIMARY KEY (entry_id);


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
-- Name: reservations reservations_lead_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_lead_id_key UNIQUE (lead_id);


--
-- Name: reservations reservations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (reservation_id);


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
-- Name: facts_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX facts_due ON public.facts USING btree (due_at) WHERE (due_at IS NOT NULL);


--
-- Name: inbox_seen_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX inbox_seen_at ON public.inbox USING brin (seen_at);


--
-- Name: ledger_partner; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ledger_partner ON public.ledger USING btree (partner_id, currency, number);


--
-- Name: one_live_reservation; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX one_live_reservation ON public.reservations USING btree (client_key) WHERE (status = 'live'::text);


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
-- Name: reservations_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reservations_client ON public.reservations USING btree (client_key);


--
-- Name: reservations_due; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX reservations_due ON public.reservations USING btree (next_due) WHERE (status = 'live'::text);


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
-- Name: history history_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER history_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.history FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- Name: ledger ledger_append_only; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER ledger_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();


--
-- PostgreSQL database dump complete
--

\unrestrict truce

