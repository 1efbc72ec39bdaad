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
-- Name: exchanges; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.exchanges (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    operation text NOT NULL,
    leads jsonb NOT NULL,
    set text NOT NULL,
    method text NOT NULL,
    status integer,
    code text,
    text text,
    ms integer NOT NULL,
    attempt integer NOT NULL,
    outcome text NOT NULL,
    next_at timestamp with time zone,
    correlation text
);


--
-- Name: exchanges_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.exchanges ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.exchanges_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: facts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.facts (
    client_key text NOT NULL,
    kind text NOT NULL,
    ref text NOT NULL,
    body jsonb NOT NULL
);


--
-- Name: holds; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.holds (
    client_key text NOT NULL,
    lead_id uuid NOT NULL,
    partner_id text NOT NULL,
    confirmed_at timestamp with time zone NOT NULL,
    released boolean DEFAULT false NOT NULL
);


--
-- Name: inbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.inbox (
    id uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);


--
-- Name: leads; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.leads (
    lead_id uuid NOT NULL,
    client_key text NOT NULL,
    partner_id text NOT NULL,
    client text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    number bigint NOT NULL,
    cause jsonb NOT NULL,
    check_asked boolean NOT NULL,
    checked_at timestamp with time zone,
    enquiries jsonb NOT NULL,
    status text NOT NULL,
    reason text,
    evidence text,
    decided_at timestamp with time zone,
    sales jsonb DEFAULT '[]'::jsonb NOT NULL,
    delayed_at timestamp with time zone,
    ruling jsonb,
    rule text DEFAULT ''::text NOT NULL,
    CONSTRAINT leads_status_check CHECK ((status = ANY (ARRAY['under-review'::text, 'confirmed'::text, 'rejected'::text])))
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
    agreement_number text NOT NULL,
    signed_on date NOT NULL,
    status text NOT NULL,
    phone_key text
);


--
-- Name: sales; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sales (
    ref text NOT NULL,
    number text NOT NULL,
    amount numeric(18,2) NOT NULL,
    currency text NOT NULL,
    contract_number text NOT NULL,
    sold_on date NOT NULL,
    cancelled boolean NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    client_key text,
    lead_id uuid
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
-- Name: terms; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.terms (
    lead_id uuid NOT NULL,
    client_key text NOT NULL,
    confirmed_at timestamp with time zone NOT NULL,
    until timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    journal_at timestamp with time zone,
    handed_over_at timestamp with time zone,
    enquiry_ref text,
    through date NOT NULL,
    ended_as text
);


--
-- Name: watermarks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.watermarks (
    journal text NOT NULL,
    number text NOT NULL,
    at timestamp with time zone NOT NULL
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
0004
\.


--
-- Data for Name: exchanges; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.exchanges (id, at, operation, leads, set, method, status, code, text, ms, attempt, outcome, next_at, correlation) FROM stdin;
1	2026-11-28 11:25:24.428394+00	verify	[]	$metadata	GET	200	\N	\N	107	1	ok	\N	\N
2	2026-11-28 11:25:24.450385+00	verify	[]	Catalog_CRM_ПотенциальныеКлиенты	GET	200	\N	\N	21	1	ok	\N	\N
3	2026-11-28 11:25:24.46882+00	verify	[]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	18	1	ok	\N	\N
4	2026-11-28 11:25:24.47473+00	verify	[]	Catalog_ВидыКонтактнойИнформации	GET	200	\N	\N	6	1	ok	\N	\N
5	2026-11-28 11:25:24.489305+00	verify	[]	Document_CRM_Интерес	GET	200	\N	\N	14	1	ok	\N	\N
6	2026-11-28 11:25:24.50816+00	verify	[]	InformationRegister_ЖурналПартнеров	GET	200	\N	\N	19	1	ok	\N	\N
7	2026-11-28 11:25:24.524723+00	verify	[]	Catalog_Пользователи_КонтактнаяИнформация	GET	200	\N	\N	16	1	ok	\N	\N
8	2026-11-28 11:25:24.546179+00	verify	[]	Document_ДоговорПродажи	GET	200	\N	\N	21	1	ok	\N	\N
9	2026-11-28 11:25:24.569466+00	verify	[]	Catalog_ВидыКонтактнойИнформации	GET	200	\N	\N	6	1	ok	\N	\N
10	2026-11-28 11:25:25.376822+00	staff	[]	Catalog_Пользователи_КонтактнаяИнформация	GET	200	\N	\N	6	1	ok	\N	\N
11	2026-11-28 11:25:25.400035+00	watch-enquiries	[]	Document_CRM_Интерес	GET	200	\N	\N	3	1	ok	\N	\N
12	2026-11-28 11:25:25.410672+00	watch-sales	[]	Document_ДоговорПродажи	GET	200	\N	\N	8	1	ok	\N	\N
13	2026-11-28 11:25:25.849463+00	check	["b305e82f-5c73-5c16-a0cf-18fb35331811"]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	6	1	ok	\N	0a1b3477-9e59-5849-8c09-164f0745f30f
14	2026-11-28 11:25:26.010272+00	partner-journal	["b305e82f-5c73-5c16-a0cf-18fb35331811"]	InformationRegister_ЖурналПартнеров	POST	200	\N	\N	3	1	ok	\N	0a1b3477-9e59-5849-8c09-164f0745f30f
15	2026-11-28 11:25:26.420334+00	watch-enquiries	[]	Document_CRM_Интерес	GET	200	\N	\N	4	1	ok	\N	\N
16	2026-11-28 11:25:26.423492+00	watch-sales	[]	Document_ДоговорПродажи	GET	200	\N	\N	3	1	ok	\N	\N
17	2026-11-28 11:25:26.691505+00	hand-over	["b305e82f-5c73-5c16-a0cf-18fb35331811"]	InformationRegister_ЖурналПартнеров	PATCH	200	\N	\N	7	1	ok	\N	0a1b3477-9e59-5849-8c09-164f0745f30f
18	2026-11-28 11:25:26.696791+00	hand-over	["b305e82f-5c73-5c16-a0cf-18fb35331811"]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	5	1	ok	\N	0a1b3477-9e59-5849-8c09-164f0745f30f
19	2026-11-28 11:25:26.699715+00	hand-over	["b305e82f-5c73-5c16-a0cf-18fb35331811"]	Catalog_ВидыКонтактнойИнформации	GET	200	\N	\N	3	1	ok	\N	0a1b3477-9e59-5849-8c09-164f0745f30f
20	2026-11-28 11:25:26.70641+00	hand-over	["b305e82f-5c73-5c16-a0cf-18fb35331811"]	Catalog_CRM_ПотенциальныеКлиенты	POST	201	\N	\N	5	1	ok	\N	0a1b3477-9e59-5849-8c09-164f0745f30f
21	2026-11-28 11:25:26.709089+00	hand-over	["b305e82f-5c73-5c16-a0cf-18fb35331811"]	Document_CRM_Интерес	POST	201	\N	\N	3	1	ok	\N	0a1b3477-9e59-5849-8c09-164f0745f30f
22	2026-11-28 11:25:26.767373+00	check	["49089f07-0b31-52c0-aaa2-5e006e891780"]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	3	1	ok	\N	c89ad3e7-72c6-51db-b310-903841b5b814
23	2026-11-28 11:25:26.831741+00	partner-journal	["49089f07-0b31-52c0-aaa2-5e006e891780"]	InformationRegister_ЖурналПартнеров	POST	200	\N	\N	9	1	ok	\N	c89ad3e7-72c6-51db-b310-903841b5b814
24	2026-11-28 11:25:27.438387+00	watch-enquiries	[]	Document_CRM_Интерес	GET	200	\N	\N	9	1	ok	\N	\N
25	2026-11-28 11:25:27.444429+00	watch-sales	[]	Document_ДоговорПродажи	GET	200	\N	\N	4	1	ok	\N	\N
26	2026-11-28 11:25:27.447981+00	whose-card	[]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	3	1	ok	\N	\N
27	2026-11-28 11:25:27.506096+00	partner-journal-update	["49089f07-0b31-52c0-aaa2-5e006e891780"]	InformationRegister_ЖурналПартнеров	PATCH	200	\N	\N	4	1	ok	\N	c89ad3e7-72c6-51db-b310-903841b5b814
28	2026-11-28 11:25:27.756161+00	check	["bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14"]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	7	1	ok	\N	f33ff49d-a175-5829-8ba8-00b9db6d03f3
29	2026-11-28 11:25:27.803474+00	partner-journal	["bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14"]	InformationRegister_ЖурналПартнеров	POST	200	\N	\N	7	1	ok	\N	f33ff49d-a175-5829-8ba8-00b9db6d03f3
30	2026-11-28 11:25:27.900777+00	check	["2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f"]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	7	1	ok	\N	465cc1ad-8a41-506d-95d5-cc8dbe087432
31	2026-11-28 11:25:27.977769+00	partner-journal	["2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f"]	InformationRegister_ЖурналПартнеров	POST	200	\N	\N	6	1	ok	\N	465cc1ad-8a41-506d-95d5-cc8dbe087432
32	2026-11-28 11:25:28.481302+00	watch-enquiries	[]	Document_CRM_Интерес	GET	200	\N	\N	10	1	ok	\N	\N
33	2026-11-28 11:25:28.49389+00	watch-sales	[]	Document_ДоговорПродажи	GET	200	\N	\N	3	1	ok	\N	\N
34	2026-11-28 11:25:28.501137+00	whose-card	[]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	7	1	ok	\N	\N
35	2026-11-28 11:25:29.524421+00	watch-enquiries	[]	Document_CRM_Интерес	GET	200	\N	\N	8	1	ok	\N	\N
36	2026-11-28 11:25:29.536598+00	watch-sales	[]	Document_ДоговорПродажи	GET	200	\N	\N	5	1	ok	\N	\N
37	2026-11-28 11:25:29.541741+00	whose-card	[]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	2	1	ok	\N	\N
38	2026-11-28 11:25:30.402815+00	check	["3d4ccdbb-c43f-532d-9190-8db7f4f46301"]	Catalog_CRM_ПотенциальныеКлиенты_КонтактнаяИнформация	GET	200	\N	\N	5	1	ok	\N	6c34499e-72cc-5cbd-8933-ccd4db513181
\.


--
-- Data for Name: facts; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.facts (client_key, kind, ref, body) FROM stdin;
k1:03da53501b034b9dd391bc0a69cb3b64a9318fc599553629a171294f31bdc6a2	insider	partner:partner-expired	{"is": true}
k1:c84c08e4522c563f8c0850beef40a1f2e6b36782ab4f46fb129b8c7663a87bd5	insider	partner:partner-sold	{"is": true}
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	deal	35300213-de57-4121-b880-424206e2c337	{"sale": {"ref": "35300213-de57-4121-b880-424206e2c337", "amount": "9500000.00", "sold_on": "2027-05-30", "currency": "RUB", "cancelled": false, "contract_number": "17/05"}, "lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "linked_by": null, "noticed_at": "2027-05-30T11:25:27.452347+00:00", "cancelled_at": null}
k1:6bb009a39f29660b291bdd719822487069e62efe9211f72a4ba541c444bc408d	insider	partner:partner-live	{"is": true}
k1:7f10f02ee8afadfafac9581a121218dcb605cfce868f82cbfff68c255775af0d	insider	partner:partner-parked	{"is": true}
k1:1fb4a0aaac792dcae55f07dc0a5106604d4a46a3a4bd90eb4cbaeb4871a14cad	insider	partner:partner-waiting	{"is": true}
k1:ed62f1606454b93f9303d2762ac11eb5d7c5a17bb7f6af9f7241b0d35a20e46c	insider	partner:partner-under-way	{"is": true}
\.


--
-- Data for Name: holds; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.holds (client_key, lead_id, partner_id, confirmed_at, released) FROM stdin;
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	b305e82f-5c73-5c16-a0cf-18fb35331811	partner-expired	2026-11-28 11:25:25.852446+00	f
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	49089f07-0b31-52c0-aaa2-5e006e891780	partner-sold	2027-05-30 11:25:26.768435+00	f
k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	partner-live	2027-05-30 11:25:27.757272+00	f
k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	partner-parked	2027-05-30 11:25:27.901792+00	f
k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	3d4ccdbb-c43f-532d-9190-8db7f4f46301	partner-waiting	2027-05-30 11:25:30.403802+00	f
\.


--
-- Data for Name: inbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.inbox (id, seen_at) FROM stdin;
8ad66a2a-6373-5371-851d-89ed5c352176	2026-11-28 11:25:25.795239+00
ab9e71ac-dd92-51e2-a8ad-460dbfd29bb3	2026-11-28 11:25:25.795239+00
ed6e996b-ccc6-55ae-9087-ed290c4251b8	2026-11-28 11:25:25.954944+00
933b6392-c8bc-5869-9a0f-bd73f1603c61	2026-11-28 11:25:26.672125+00
9a70f09f-66be-5c8c-bb9a-04dcbaee1fb6	2026-11-28 11:25:26.739231+00
602ae549-1a15-58eb-8eb6-0e04d4f68416	2026-11-28 11:25:26.755522+00
1508ed7f-6377-50d5-bef2-1a8b58f0b6d7	2026-11-28 11:25:26.806736+00
cfc69bd3-e3f5-5434-beef-305d4858497e	2026-11-28 11:25:27.486755+00
370ec7b4-6513-55e2-ab60-49e288473456	2026-11-28 11:25:27.731341+00
c197b5e0-2536-5e98-9c5d-d833ba7d2384	2026-11-28 11:25:27.743592+00
a328d02b-b4f5-55bf-afc5-8b4956cb7654	2026-11-28 11:25:27.786062+00
c6fdbf01-aea6-5917-9eda-8e1aa0e1892e	2026-11-28 11:25:27.870943+00
84920c40-cc6c-5f3c-8f07-4b24d6a3bdb8	2026-11-28 11:25:27.885013+00
13815ca5-558a-5706-8853-b3b22f0a6797	2026-11-28 11:25:27.941141+00
32bad17f-0861-54e4-8804-4176f4a1b1b4	2026-11-28 11:25:30.385954+00
6da55d4f-7958-5774-b17b-8d8e3b9a8740	2026-11-28 11:25:30.392142+00
3b7c4796-d70c-5e7c-8ca4-64e3932665a3	2026-11-28 11:25:30.433575+00
557a870a-52f8-5ea4-a594-9db819bf95d0	2026-11-28 11:25:30.640701+00
af1b2336-5891-521a-b4ef-b47a9c01edfa	2026-11-28 11:25:30.668371+00
\.


--
-- Data for Name: leads; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.leads (lead_id, client_key, partner_id, client, received_at, number, cause, check_asked, checked_at, enquiries, status, reason, evidence, decided_at, sales, delayed_at, ruling, rule) FROM stdin;
b305e82f-5c73-5c16-a0cf-18fb35331811	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	partner-expired	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ	2026-11-28 11:25:25.602021+00	1	{"id": "73df45b3-aa63-53c8-a818-af5038599a8f", "correlation": "0a1b3477-9e59-5849-8c09-164f0745f30f", "traceparent": "00-3debc3584dfc5fa3c3a788c9ce414cf7-73df45b3aa6353c8-01"}	t	2026-11-28 11:25:25.849682+00	[]	confirmed	\N	\N	2026-11-28 11:25:25.852446+00	[]	\N	\N	free
49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	partner-sold	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow	2027-05-30 11:25:26.736364+00	2	{"id": "216cb539-7316-5b7e-a197-47ce02cfe084", "correlation": "c89ad3e7-72c6-51db-b310-903841b5b814", "traceparent": "00-aa982b6be8e7dcb2bec795489cb32ce8-216cb53973165b7e-01"}	t	2027-05-30 11:25:26.767529+00	[]	confirmed	\N	\N	2027-05-30 11:25:26.768435+00	[]	\N	\N	free
bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	partner-live	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiYjcyYmNiMi1kNGVhLTVmZTMtOTdkYy0yYjhhM2UyMDRkMTQifQ..3T0t-LC8_O4n0Fti.vKadhrwtT43vd0eKFGWF0CL5Xy_-7HpjvPynsYV6v6ufT_poEhT-QPOWJXjzysN7CNd4kFfc3pD5Ke6r1XByi4ZsfD4mqtTMDz4UXBOco_eo5hke9ITCVS_gYQwZ.iCNGA2QykqdXpIVBL-8GTw	2027-05-30 11:25:27.719997+00	3	{"id": "31337d9d-2d1b-5550-a369-af00028b351b", "correlation": "f33ff49d-a175-5829-8ba8-00b9db6d03f3", "traceparent": "00-0a5e51e05b833f6575cc73071ac13a3d-31337d9d2d1b5550-01"}	t	2027-05-30 11:25:27.756319+00	[]	confirmed	\N	\N	2027-05-30 11:25:27.757272+00	[]	\N	\N	free
2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	partner-parked	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIyYzFjN2ZmZS1mN2ExLTUzOGItOWU2Yi04YzkxMTFiNTZjNWYifQ..HeLu9qQOwUYEoGpY.w6zPjg_VBYzF_5CChwGFQIdyOEXr-Anr40S_mWt3Qv7HBKq05_JFvrx6I4EXrwRjDfVLLnBJ1DQ5G5NmZGJaT11c1ZGeg89iXTib_dMo-F-J58VV0zqZWRpHus8U.JAa_IWgouDTV_GLP_FzHGw	2027-05-30 11:25:27.867589+00	4	{"id": "328fdef3-167d-58cb-adea-f607e74906dd", "correlation": "465cc1ad-8a41-506d-95d5-cc8dbe087432", "traceparent": "00-54f8410f335d34889d2f896d6634a67f-328fdef3167d58cb-01"}	t	2027-05-30 11:25:27.900981+00	[]	confirmed	\N	\N	2027-05-30 11:25:27.901792+00	[]	\N	\N	free
3d4ccdbb-c43f-532d-9190-8db7f4f46301	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	partner-waiting	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIzZDRjY2RiYi1jNDNmLTUzMmQtOTE5MC04ZGI3ZjRmNDYzMDEifQ..b8XaerPS1WPaKYB-.82M8YXiJYWcYwHL9zk76VaibFIagsXj0IYAJgnO-Mr6cYn_NJZ0gtDY2i115RmUyN60ATgiXHOI0PAzjSCpfICeIQqNizaSkTmt3ih9A4MjU8-aJWrUjN3QTqunrcdE.9GI2Bu9FR7FxaE6SZvop-g	2027-05-30 11:25:30.37685+00	5	{"id": "9a7a5230-5251-5c96-a8de-177c4ec792c9", "correlation": "6c34499e-72cc-5cbd-8933-ccd4db513181", "traceparent": "00-f4544ca3ae3e2c1b7af0a00e5f59433a-9a7a523052515c96-01"}	t	2027-05-30 11:25:30.40297+00	[]	confirmed	\N	\N	2027-05-30 11:25:30.403802+00	[]	\N	\N	free
a7929be3-0745-5d18-ba50-f7c417d27db4	k1:c699427da55ae537dcb604d7432530160ba88819299dea47d19b6f5b04ce2666	partner-under-way	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJhNzkyOWJlMy0wNzQ1LTVkMTgtYmE1MC1mN2M0MTdkMjdkYjQifQ..OqJvR-ZjnhEJy0k4.WuPo4YzszZArbw03eC7f6hPPKql1mUyqHY52f4xMpkVF78Z-FdlZg-PGYA6K93UwzF5BKX2BpWU1yD-VfDB7JXnYHJPNvLHX6CWpL0JJpCatQw3oqJPNSudn0apr.eYZj5PHWPMhVR_HVI51XNQ	2027-05-30 11:25:30.626145+00	6	{"id": "c6388a01-6f60-5c6e-8200-a6483913b667", "correlation": "a398c7bc-f9c7-59cf-8421-80cac8d416f9", "traceparent": "00-95967c82565afcc2912ec8f58c5fedbb-c6388a016f605c6e-01"}	t	\N	[]	under-review	\N	\N	\N	[]	\N	\N	
\.


--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.outbox (id, event_id, owner, topic, key, headers, value, created_at) FROM stdin;
6	00160ecc-9e18-5e01-a8e3-54447018a453	1945167644	verdicts	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	[["ce_specversion","1.0"],["ce_id","00160ecc-9e18-5e01-a8e3-54447018a453"],["ce_type","lead-confirmed.v1"],["ce_source","/truce/onec-gateway"],["ce_time","2027-05-30T11:25:30.403802+00:00"],["ce_correlationid","6c34499e-72cc-5cbd-8933-ccd4db513181"],["ce_causationid","9a7a5230-5251-5c96-a8de-177c4ec792c9"],["content-type","application/json"],["ce_subject","3d4ccdbb-c43f-532d-9190-8db7f4f46301"],["ce_sequence","1"],["traceparent","00-f4544ca3ae3e2c1b7af0a00e5f59433a-00160ecc9e185e01-01"]]	\\x7b226c6561645f6964223a2233643463636462622d633433662d353332642d393139302d386462376634663436333031222c22636c69656e745f6b6579223a226b313a30633834306138656234666630363264356534373338613436336531343835353664343837303136363932306133313839386638363432353239393332633363222c22706172746e65725f6964223a22706172746e65722d77616974696e67222c22636c69656e74223a2265794a68624763694f694a6b615849694c434a6c626d4d694f694a424d6a553252304e4e4969776961326c6b496a6f69637a45694c434a76643234694f69497a5a44526a593252695969316a4e444e6d4c54557a4d6d51744f5445354d4330345a4749335a6a526d4e44597a4d44456966512e2e6238586165725053315750614b59422d2e38324d385958694a5957635977484c397a6b3736566169624649616773586a304959414a676e4f2d4d723663596e5f4e4a5a30677444593269313135526d55794e36304154676958484f493050417a6a534370664943654951714e697a61536b546d743369683941344d6a55382d614a5772556a4e33515471756e726364452e394749324275394652374678614536535a766f702d67222c2272656365697665645f6174223a22323032372d30352d33305431313a32353a33302e3337363835305a222c22636865636b65645f6174223a22323032372d30352d33305431313a32353a33302e3430323937305a222c22636f6e6669726d65645f6174223a22323032372d30352d33305431313a32353a33302e3430333830325a227d	2026-11-28 11:25:30.403258+00
\.


--
-- Data for Name: parked; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.parked (id, key, token, record) FROM stdin;
\.


--
-- Data for Name: partners; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.partners (partner_id, person, agreement_number, signed_on, status, phone_key) FROM stdin;
partner-expired	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLWV4cGlyZWQifQ..XuZyfBwVhonfG90Q.PRRqn4u-GsWQ_jlhQuSDrZ29K4BARfhbHmUx9LEu0MEWWaq79NISb-8ORUkgxWdHU6bCYdBfiNHKrFbTtTRhtrErnzwsxuFzrg4QZkjZrfDBkAbKd6YQ2a0yxOPi.r1v2PVEjeRZrhvdsnRdwWQ	A-partner-expired	2026-01-15	active	k1:03da53501b034b9dd391bc0a69cb3b64a9318fc599553629a171294f31bdc6a2
partner-sold	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXNvbGQifQ..ENb5JN7T_CMHmQZZ.KR04DkIwtcc82MVbPt3fAt8lAf22TPN7vGuqocAl7bzudNRlI9Ere275WymvESvRrSlctIc90nFclnaCIV2EwrUZTRBLseEADqDgyQgSwhmSR4uX0Zkqor318w.kX2j7aS7447eYSvIgRquOg	A-partner-sold	2026-01-15	active	k1:c84c08e4522c563f8c0850beef40a1f2e6b36782ab4f46fb129b8c7663a87bd5
partner-live	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLWxpdmUifQ..ZTtT9uVDwKsf_e28.Zrom35pnLMpUCqrmkW5w5QH-rwgaWdHXEVxIP51hg_Ge_fwcEgiy3Ll7xYLdi6hQO1RqGC1hLtmubOkBJHLpGjnMm3jw6gGiJt07qtDVUvG1Lzoo0dojHne3AA.thCkpcewDPGLUtvkYa3lpg	A-partner-live	2026-01-15	active	k1:6bb009a39f29660b291bdd719822487069e62efe9211f72a4ba541c444bc408d
partner-parked	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXBhcmtlZCJ9..kocvbpcBA7sRfQfM.reQk_6p2eD9LFNQ8KPJKojGMwiCG84721iK1v5gD46soTETc_44ZGJ58ck_vCBfDZnMQyGGD87ENJ_ftME4NI_aw_SfaytQnpd-WKWmQs_h6zsDZ9kgNHD56kw._Iq5LnYQmp6eclYbO7zB1A	A-partner-parked	2026-01-15	active	k1:7f10f02ee8afadfafac9581a121218dcb605cfce868f82cbfff68c255775af0d
partner-waiting	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXdhaXRpbmcifQ..pVBLRW07oS_x6bYm.i7jDEEoX6waApEA0JQ-kVvnaebnkm2IHLyRmRHa_f-bZpgf2bv3-X2PU-CXB6Q6mlJ9CyW9h0rhGOEGwz6xkY2ZoMzP_Gj8gR2yP5A94pmXGSjVCWjqYaFtMEy-Q4CE.NKnQY2MK_LzDB7wMKCf0VA	A-partner-waiting	2026-01-15	active	k1:1fb4a0aaac792dcae55f07dc0a5106604d4a46a3a4bd90eb4cbaeb4871a14cad
partner-under-way	eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJwYXJ0bmVyLXVuZGVyLXdheSJ9..BqsP6maLKVBhLRyP.lBxnklc_XOObqil69PBlalOpr1TNIo49V4VW2oY_N-8OXrDgkiQsBxLbhtk9sP0bsLgb-jPAPiAdnhL5Jsnjxn_asLzUC_NhK4WrAS3RcnQK8B4T766X87VvDg.-xbzCawiV-fQ_KzwF0CThQ	A-partner-under-way	2026-01-15	active	k1:ed62f1606454b93f9303d2762ac11eb5d7c5a17bb7f6af9f7241b0d35a20e46c
\.


--
-- Data for Name: sales; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.sales (ref, number, amount, currency, contract_number, sold_on, cancelled, seen_at, client_key, lead_id) FROM stdin;
35300213-de57-4121-b880-424206e2c337	0000-000001	9500000.00	RUB	17/05	2027-05-30	f	2027-05-30 11:25:27.462859+00	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	49089f07-0b31-52c0-aaa2-5e006e891780
\.


--
-- Data for Name: streams; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.streams (key, sequence, parked_at) FROM stdin;
partner-expired	0	\N
k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	1	\N
partner-sold	0	\N
k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	2	\N
partner-live	0	\N
k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	1	\N
partner-parked	0	\N
k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	1	\N
partner-waiting	0	\N
k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	1	\N
partner-under-way	0	\N
k1:c699427da55ae537dcb604d7432530160ba88819299dea47d19b6f5b04ce2666	0	\N
\.


--
-- Data for Name: terms; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.terms (lead_id, client_key, confirmed_at, until, ended_at, journal_at, handed_over_at, enquiry_ref, through, ended_as) FROM stdin;
b305e82f-5c73-5c16-a0cf-18fb35331811	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	2026-11-28 11:25:25.852446+00	2027-05-28 21:00:00+00	2027-05-28 21:00:00+00	2026-11-28 11:25:26.010432+00	2027-05-30 11:25:26.709183+00	af5798c5-0a70-4249-9023-20be10569d03	2027-05-28	expired
49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	2027-05-30 11:25:26.768435+00	2027-11-30 21:00:00+00	2027-05-30 11:25:27.477064+00	2027-05-30 11:25:26.831964+00	\N	\N	2027-11-30	won
bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	2027-05-30 11:25:27.757272+00	2027-11-30 21:00:00+00	\N	2027-05-30 11:25:27.803635+00	\N	\N	2027-11-30	\N
2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	2027-05-30 11:25:27.901792+00	2027-11-30 21:00:00+00	\N	2027-05-30 11:25:27.977949+00	\N	\N	2027-11-30	\N
3d4ccdbb-c43f-532d-9190-8db7f4f46301	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	2027-05-30 11:25:30.403802+00	2027-11-30 21:00:00+00	\N	2027-05-30 11:25:30.450774+00	\N	\N	2027-11-30	\N
\.


--
-- Data for Name: watermarks; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.watermarks (journal, number, at) FROM stdin;
sales	0000-000001	2027-05-30 11:25:30.576835+00
\.


--
-- Data for Name: work; Type: TABLE DATA; Schema: public; Owner: -
--

COPY public.work (id, kind, ref, key, payload, cause, state, owner, attempts, in_doubt, due_at, note, created_at, finished_at) FROM stdin;
1	check	b305e82f-5c73-5c16-a0cf-18fb35331811	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ"}	{"id": "73df45b3-aa63-53c8-a818-af5038599a8f", "correlation": "0a1b3477-9e59-5849-8c09-164f0745f30f", "traceparent": "00-3debc3584dfc5fa3c3a788c9ce414cf7-73df45b3aa6353c8-01"}	done	\N	1	f	2026-11-28 11:25:25.795239+00	\N	2026-11-28 11:25:25.795239+00	2026-11-28 11:25:25.850123+00
2	partner-journal	b305e82f-5c73-5c16-a0cf-18fb35331811	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ", "lead_id": "b305e82f-5c73-5c16-a0cf-18fb35331811", "checked_at": "2026-11-28T11:25:25.849682+00:00", "partner_id": "partner-expired", "confirmed_at": "2026-11-28T11:25:25.852446+00:00", "reserved_through": "2027-05-28"}	{"id": "ae9d6cff-e25c-5f4c-ae6e-05ccd46fb977", "correlation": "0a1b3477-9e59-5849-8c09-164f0745f30f", "traceparent": "00-3debc3584dfc5fa3c3a788c9ce414cf7-ae9d6cffe25c5f4c-01"}	done	\N	1	f	2026-11-28 11:25:25.954944+00	\N	2026-11-28 11:25:25.954944+00	2026-11-28 11:25:26.010721+00
3	hand-over	b305e82f-5c73-5c16-a0cf-18fb35331811/2027-05-28T21:00:00+00:00	k1:5c5a33028d246138d0d4bf8d016a26fa7827baa8478fbfdbecc85b38c9747180	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiMzA1ZTgyZi01YzczLTVjMTYtYTBjZi0xOGZiMzUzMzE4MTEifQ..fgISEY3aqty4asKd.FHW97noiMqEzahxxNjn8yK1Q0oOKSe6Ve2ohDVw0OqItBOkYnkj_HZGr_LyCXY0_GcWlrPhMVQaIwbTbYMBW2ECEPt72uBgCgo7IVSrLMKebgGePT-ddJ1aQLQ.Y_Sw1ufOfYeMkCy-jbb6IQ", "lead_id": "b305e82f-5c73-5c16-a0cf-18fb35331811", "expired_at": "2027-05-28T21:00:00+00:00", "partner_id": "partner-expired", "confirmed_at": "2026-11-28T11:25:25.852446+00:00", "reserved_through": "2027-05-28"}	{"id": "4783a50d-1442-5616-bfe0-ef2c406fc8cd", "correlation": "0a1b3477-9e59-5849-8c09-164f0745f30f", "traceparent": "00-3debc3584dfc5fa3c3a788c9ce414cf7-4783a50d14425616-01"}	done	\N	1	f	2026-11-28 11:25:26.672125+00	\N	2026-11-28 11:25:26.672125+00	2026-11-28 11:25:26.710644+00
4	check	49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow"}	{"id": "216cb539-7316-5b7e-a197-47ce02cfe084", "correlation": "c89ad3e7-72c6-51db-b310-903841b5b814", "traceparent": "00-aa982b6be8e7dcb2bec795489cb32ce8-216cb53973165b7e-01"}	done	\N	1	f	2026-11-28 11:25:26.755522+00	\N	2026-11-28 11:25:26.755522+00	2026-11-28 11:25:26.767798+00
5	partner-journal	49089f07-0b31-52c0-aaa2-5e006e891780	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow", "lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "checked_at": "2027-05-30T11:25:26.767529+00:00", "partner_id": "partner-sold", "confirmed_at": "2027-05-30T11:25:26.768435+00:00", "reserved_through": "2027-11-30"}	{"id": "4a669c4c-f103-59d3-8bbf-f06bcf084417", "correlation": "c89ad3e7-72c6-51db-b310-903841b5b814", "traceparent": "00-aa982b6be8e7dcb2bec795489cb32ce8-4a669c4cf10359d3-01"}	done	\N	1	f	2026-11-28 11:25:26.806736+00	\N	2026-11-28 11:25:26.806736+00	2026-11-28 11:25:26.834953+00
6	partner-journal-update	49089f07-0b31-52c0-aaa2-5e006e891780/2027-05-30T11:25:27.477064+00:00	k1:6466afd63747f134af36af240a20c6431ed3ae680eeaec43b7da46dd1c32c0b1	{"state": "won", "client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiI0OTA4OWYwNy0wYjMxLTUyYzAtYWFhMi01ZTAwNmU4OTE3ODAifQ..GKW_29w6AhuQ83Mk.GIqMJbxQhvkXILr1cOi5teKzpoR8VOu6VQIqBTDzfIwI-BkNiMetU7bGjksGtS9ori7Q8OetWIWY1s572DvhxiazoSCEFu8B4BMR6MboNndsavQA_KpyuO3qK9GI.xGLjLFK22pa9Vs0iyfv3ow", "lead_id": "49089f07-0b31-52c0-aaa2-5e006e891780", "partner_id": "partner-sold", "confirmed_at": "2027-05-30T11:25:26.768435+00:00", "reserved_through": "2027-11-30"}	{"id": "410c5278-273a-5a24-819d-c4354554a54e", "correlation": "c89ad3e7-72c6-51db-b310-903841b5b814", "traceparent": "00-aa982b6be8e7dcb2bec795489cb32ce8-410c5278273a5a24-01"}	done	\N	1	f	2026-11-28 11:25:27.486755+00	\N	2026-11-28 11:25:27.486755+00	2026-11-28 11:25:27.506457+00
7	check	bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiYjcyYmNiMi1kNGVhLTVmZTMtOTdkYy0yYjhhM2UyMDRkMTQifQ..3T0t-LC8_O4n0Fti.vKadhrwtT43vd0eKFGWF0CL5Xy_-7HpjvPynsYV6v6ufT_poEhT-QPOWJXjzysN7CNd4kFfc3pD5Ke6r1XByi4ZsfD4mqtTMDz4UXBOco_eo5hke9ITCVS_gYQwZ.iCNGA2QykqdXpIVBL-8GTw"}	{"id": "31337d9d-2d1b-5550-a369-af00028b351b", "correlation": "f33ff49d-a175-5829-8ba8-00b9db6d03f3", "traceparent": "00-0a5e51e05b833f6575cc73071ac13a3d-31337d9d2d1b5550-01"}	done	\N	1	f	2026-11-28 11:25:27.743592+00	\N	2026-11-28 11:25:27.743592+00	2026-11-28 11:25:27.756626+00
8	partner-journal	bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14	k1:a8278895a1cc3f6bc3270c25c77e9aaebc537f6d7508c7889de66e01f076fc6a	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJiYjcyYmNiMi1kNGVhLTVmZTMtOTdkYy0yYjhhM2UyMDRkMTQifQ..3T0t-LC8_O4n0Fti.vKadhrwtT43vd0eKFGWF0CL5Xy_-7HpjvPynsYV6v6ufT_poEhT-QPOWJXjzysN7CNd4kFfc3pD5Ke6r1XByi4ZsfD4mqtTMDz4UXBOco_eo5hke9ITCVS_gYQwZ.iCNGA2QykqdXpIVBL-8GTw", "lead_id": "bb72bcb2-d4ea-5fe3-97dc-2b8a3e204d14", "checked_at": "2027-05-30T11:25:27.756319+00:00", "partner_id": "partner-live", "confirmed_at": "2027-05-30T11:25:27.757272+00:00", "reserved_through": "2027-11-30"}	{"id": "e1e1cda6-5cfe-5f8b-affd-316f581bd49a", "correlation": "f33ff49d-a175-5829-8ba8-00b9db6d03f3", "traceparent": "00-0a5e51e05b833f6575cc73071ac13a3d-e1e1cda65cfe5f8b-01"}	done	\N	1	f	2026-11-28 11:25:27.786062+00	\N	2026-11-28 11:25:27.786062+00	2026-11-28 11:25:27.803972+00
9	check	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIyYzFjN2ZmZS1mN2ExLTUzOGItOWU2Yi04YzkxMTFiNTZjNWYifQ..HeLu9qQOwUYEoGpY.w6zPjg_VBYzF_5CChwGFQIdyOEXr-Anr40S_mWt3Qv7HBKq05_JFvrx6I4EXrwRjDfVLLnBJ1DQ5G5NmZGJaT11c1ZGeg89iXTib_dMo-F-J58VV0zqZWRpHus8U.JAa_IWgouDTV_GLP_FzHGw"}	{"id": "328fdef3-167d-58cb-adea-f607e74906dd", "correlation": "465cc1ad-8a41-506d-95d5-cc8dbe087432", "traceparent": "00-54f8410f335d34889d2f896d6634a67f-328fdef3167d58cb-01"}	done	\N	1	f	2026-11-28 11:25:27.885013+00	\N	2026-11-28 11:25:27.885013+00	2026-11-28 11:25:27.901246+00
10	partner-journal	2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f	k1:2d39eed29d47033414e32fef5c786c9029232a252f464567f71604861f229099	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIyYzFjN2ZmZS1mN2ExLTUzOGItOWU2Yi04YzkxMTFiNTZjNWYifQ..HeLu9qQOwUYEoGpY.w6zPjg_VBYzF_5CChwGFQIdyOEXr-Anr40S_mWt3Qv7HBKq05_JFvrx6I4EXrwRjDfVLLnBJ1DQ5G5NmZGJaT11c1ZGeg89iXTib_dMo-F-J58VV0zqZWRpHus8U.JAa_IWgouDTV_GLP_FzHGw", "lead_id": "2c1c7ffe-f7a1-538b-9e6b-8c9111b56c5f", "checked_at": "2027-05-30T11:25:27.900981+00:00", "partner_id": "partner-parked", "confirmed_at": "2027-05-30T11:25:27.901792+00:00", "reserved_through": "2027-11-30"}	{"id": "d792ed20-da13-5c98-bbac-d49dfe5b921c", "correlation": "465cc1ad-8a41-506d-95d5-cc8dbe087432", "traceparent": "00-54f8410f335d34889d2f896d6634a67f-d792ed20da135c98-01"}	done	\N	1	f	2026-11-28 11:25:27.941141+00	\N	2026-11-28 11:25:27.941141+00	2026-11-28 11:25:27.978336+00
11	check	3d4ccdbb-c43f-532d-9190-8db7f4f46301	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIzZDRjY2RiYi1jNDNmLTUzMmQtOTE5MC04ZGI3ZjRmNDYzMDEifQ..b8XaerPS1WPaKYB-.82M8YXiJYWcYwHL9zk76VaibFIagsXj0IYAJgnO-Mr6cYn_NJZ0gtDY2i115RmUyN60ATgiXHOI0PAzjSCpfICeIQqNizaSkTmt3ih9A4MjU8-aJWrUjN3QTqunrcdE.9GI2Bu9FR7FxaE6SZvop-g"}	{"id": "9a7a5230-5251-5c96-a8de-177c4ec792c9", "correlation": "6c34499e-72cc-5cbd-8933-ccd4db513181", "traceparent": "00-f4544ca3ae3e2c1b7af0a00e5f59433a-9a7a523052515c96-01"}	done	\N	1	f	2026-11-28 11:25:30.392142+00	\N	2026-11-28 11:25:30.392142+00	2026-11-28 11:25:30.403258+00
12	partner-journal	3d4ccdbb-c43f-532d-9190-8db7f4f46301	k1:0c840a8eb4ff062d5e4738a463e148556d4870166920a31898f8642529932c3c	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiIzZDRjY2RiYi1jNDNmLTUzMmQtOTE5MC04ZGI3ZjRmNDYzMDEifQ..b8XaerPS1WPaKYB-.82M8YXiJYWcYwHL9zk76VaibFIagsXj0IYAJgnO-Mr6cYn_NJZ0gtDY2i115RmUyN60ATgiXHOI0PAzjSCpfICeIQqNizaSkTmt3ih9A4MjU8-aJWrUjN3QTqunrcdE.9GI2Bu9FR7FxaE6SZvop-g", "lead_id": "3d4ccdbb-c43f-532d-9190-8db7f4f46301", "checked_at": "2027-05-30T11:25:30.402970+00:00", "partner_id": "partner-waiting", "confirmed_at": "2027-05-30T11:25:30.403802+00:00", "reserved_through": "2027-11-30"}	{"id": "47f7c461-4f73-56c6-8c1f-0b8e6f1e580a", "correlation": "6c34499e-72cc-5cbd-8933-ccd4db513181", "traceparent": "00-f4544ca3ae3e2c1b7af0a00e5f59433a-47f7c4614f7356c6-01"}	done	\N	1	f	2026-11-28 11:25:30.433575+00	\N	2026-11-28 11:25:30.433575+00	2026-11-28 11:25:30.454416+00
13	check	a7929be3-0745-5d18-ba50-f7c417d27db4	k1:c699427da55ae537dcb604d7432530160ba88819299dea47d19b6f5b04ce2666	{"client": "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoiczEiLCJvd24iOiJhNzkyOWJlMy0wNzQ1LTVkMTgtYmE1MC1mN2M0MTdkMjdkYjQifQ..OqJvR-ZjnhEJy0k4.WuPo4YzszZArbw03eC7f6hPPKql1mUyqHY52f4xMpkVF78Z-FdlZg-PGYA6K93UwzF5BKX2BpWU1yD-VfDB7JXnYHJPNvLHX6CWpL0JJpCatQw3oqJPNSudn0apr.eYZj5PHWPMhVR_HVI51XNQ"}	{"id": "c6388a01-6f60-5c6e-8200-a6483913b667", "correlation": "a398c7bc-f9c7-59cf-8421-80cac8d416f9", "traceparent": "00-95967c82565afcc2912ec8f58c5fedbb-c6388a016f605c6e-01"}	waiting	\N	1	f	2026-11-28 11:25:31.699647+00	infobase-locked (HTTP 403)	2026-11-28 11:25:30.668371+00	\N
\.


--
-- Name: exchanges_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.exchanges_id_seq', 38, true);


--
-- Name: outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outbox_id_seq', 6, true);


--
-- Name: parked_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.parked_id_seq', 1, false);


--
-- Name: work_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.work_id_seq', 13, true);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: exchanges exchanges_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.exchanges
    ADD CONSTRAINT exchanges_pkey PRIMARY KEY (id);


--
-- Name: facts facts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.facts
    ADD CONSTRAINT facts_pkey PRIMARY KEY (client_key, kind, ref);


--
-- Name: holds holds_lead_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_lead_id_key UNIQUE (lead_id);


--
-- Name: holds holds_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (client_key);


--
-- Name: inbox inbox_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id);


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
-- Name: sales sales_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.sales
    ADD CONSTRAINT sales_pkey PRIMARY KEY (ref);


--
-- Name: streams streams_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (key);


--
-- Name: terms terms_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.terms
    ADD CONSTRAINT terms_pkey PRIMARY KEY (lead_id);


--
-- Name: watermarks watermarks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.watermarks
    ADD CONSTRAINT watermarks_pkey PRIMARY KEY (journal);


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
-- Name: exchanges_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX exchanges_at ON public.exchanges USING btree (at);


--
-- Name: exchanges_leads; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX exchanges_leads ON public.exchanges USING gin (leads);


--
-- Name: facts_kind; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX facts_kind ON public.facts USING btree (kind, ref);


--
-- Name: inbox_seen_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX inbox_seen_at ON public.inbox USING brin (seen_at);


--
-- Name: leads_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX leads_client ON public.leads USING btree (client_key);


--
-- Name: leads_waiting; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX leads_waiting ON public.leads USING btree (received_at) WHERE ((decided_at IS NULL) AND (delayed_at IS NULL));


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
-- Name: sales_tied; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX sales_tied ON public.sales USING btree (ref) WHERE ((lead_id IS NOT NULL) AND (NOT cancelled));


--
-- Name: terms_client; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX terms_client ON public.terms USING btree (client_key);


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

