SET standard_conforming_strings = on;
SET client_encoding = 'UTF8';
SET bytea_output = 'hex';
SET row_security = off;
SET quote_all_identifiers = off;
SET jit = off;
SET plan_cache_mode = auto;
SET client_min_messages = 'warning';
SET default_transaction_isolation = 'read committed';
SET default_transaction_deferrable = off;
SET idle_in_transaction_session_timeout = '60s';
SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5;
SET tcp_keepalives_count = 3;
{since_14}{since_17}
SELECT pg_catalog.set_config('search_path', {path}, false)
