-- A history of schema version 1 as `.dump` gives it. It is kept for ever: every later version must read it.
BEGIN TRANSACTION;
CREATE TABLE artifacts (
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    packed_at INTEGER NOT NULL,
    artifact TEXT NOT NULL,
    PRIMARY KEY (project, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "artifacts" VALUES('shop','artifact-1',1795255320000000000,'{"id":"artifact-1","project":"shop","commit":"0000000000000000000000000000000000000000","subject":"Change 1","dirty":false,"file_count":3,"size_bytes":4096,"packed_at":"2026-11-21T10:02:00Z"}');
CREATE TABLE deployments (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    release TEXT NOT NULL,
    original TEXT,
    artifact TEXT NOT NULL,
    commit_hash TEXT NOT NULL,
    subject TEXT NOT NULL,
    committed_at INTEGER,
    dirty INTEGER NOT NULL,
    asker TEXT NOT NULL,
    reason TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    ended_at INTEGER,
    outcome TEXT,
    switched INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    elapsed_ms INTEGER NOT NULL,
    failed_step TEXT,
    error TEXT
) STRICT;
INSERT INTO "deployments" VALUES(1,'d-00001','deploy','shop','production','r1','r0','artifact-1','0000000000000000000000000000000000000001','Change 1',1795255200000000000,0,'ada','',1795255260000000000,1795255266000000000,'deployed',1,0,5000,NULL,NULL);
INSERT INTO "deployments" VALUES(2,'d-00002','deploy','shop','production','r2','r1','artifact-2','0000000000000000000000000000000000000002','Change 2',1795255260000000000,0,'ada','',1795255320000000000,1795255326000000000,'rolled_back',1,0,5000,'switch','probe /health: status 500');
CREATE TABLE entries (
    deployment INTEGER NOT NULL REFERENCES deployments ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (deployment, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "entries" VALUES(1,1,1795255261000000000,'{"started":{"step":0,"before":{"link":"r1"}}}');
INSERT INTO "entries" VALUES(1,2,1795255262000000000,'{"applied":{"step":0,"outcome":{"changed":true,"note":"done","warnings":["slow disk"],"probes":[{"name":"health","endpoint":"http://127.0.0.1:8000/health","healthy":true,"code":200,"latency_ms":12,"body":"{}","pid":42,"attempt_count":1,"at":"2026-11-21T10:00:00Z"}]}}}');
INSERT INTO "entries" VALUES(1,3,1795255263000000000,'{"started":{"step":1,"before":{"link":"r1"}}}');
INSERT INTO "entries" VALUES(1,4,1795255264000000000,'{"applied":{"step":1,"outcome":{"changed":true,"note":"done","warnings":["slow disk"],"probes":[{"name":"health","endpoint":"http://127.0.0.1:8000/health","healthy":true,"code":200,"latency_ms":12,"body":"{}","pid":42,"attempt_count":1,"at":"2026-11-21T10:00:00Z"}]}}}');
INSERT INTO "entries" VALUES(1,5,1795255265000000000,'{"started":{"step":2,"before":{"link":"r1"}}}');
INSERT INTO "entries" VALUES(1,6,1795255266000000000,'{"applied":{"step":2,"outcome":{"changed":true,"note":"done","warnings":["slow disk"],"probes":[{"name":"health","endpoint":"http://127.0.0.1:8000/health","healthy":true,"code":200,"latency_ms":12,"body":"{}","pid":42,"attempt_count":1,"at":"2026-11-21T10:00:00Z"}]}}}');
INSERT INTO "entries" VALUES(2,1,1795255321000000000,'{"started":{"step":0,"before":{"link":"r1"}}}');
INSERT INTO "entries" VALUES(2,2,1795255322000000000,'{"applied":{"step":0,"outcome":{"changed":true,"note":"done","warnings":["slow disk"],"probes":[{"name":"health","endpoint":"http://127.0.0.1:8000/health","healthy":true,"code":200,"latency_ms":12,"body":"{}","pid":42,"attempt_count":1,"at":"2026-11-21T10:00:00Z"}]}}}');
INSERT INTO "entries" VALUES(2,3,1795255323000000000,'{"started":{"step":1,"before":{"link":"r1"}}}');
INSERT INTO "entries" VALUES(2,4,1795255324000000000,'{"failed":{"step":1,"error":{"kind":"unhealthy","message":"probe /health: status 500","excerpt":"Traceback\nValueError\n","probes":[{"name":"health","endpoint":"http://127.0.0.1:8000/health","healthy":false,"code":500,"latency_ms":12,"body":"{}","error":"status 500","pid":42,"attempt_count":1,"at":"2026-11-21T10:00:00Z"}]}}}');
INSERT INTO "entries" VALUES(2,5,1795255325000000000,'{"restored":{"step":1,"note":"back"}}');
INSERT INTO "entries" VALUES(2,6,1795255326000000000,'{"restored":{"step":0,"note":"back"}}');
CREATE TABLE incidents (
    deployment INTEGER PRIMARY KEY REFERENCES deployments ON DELETE CASCADE,
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    opened_at INTEGER NOT NULL,
    closed_at INTEGER,
    closed_by TEXT,
    incident TEXT NOT NULL
) STRICT;
INSERT INTO "incidents" VALUES(2,'shop','production',1795255324000000000,1795255326000000000,'d-00002','{"id":"incident-d-00002","project":"shop","environment":"production","targets":["api"],"deployment":"d-00002","release":"r2","cause":"switch on localhost: probe /health: status 500","opened_at":"2026-11-21T10:02:04Z","closed_at":"2026-11-21T10:02:06Z","closed_by":"d-00002","report":"# Incident: shop in production\n\n## What happened\n\n- Cause: switch on localhost: probe /health: status 500\n- Deployment: d-00002 by ada\n- Release: r2 (commit 000000000000: Change 2)\n- Live before: r1\n\n## Timeline (UTC)\n\n- 2026-11-21 10:02:00 began\n- 2026-11-21 10:02:02 stage on localhost: done\n- 2026-11-21 10:02:04 **switch on localhost failed**: probe /health: status 500\n- 2026-11-21 10:02:05 switch on localhost restored\n- 2026-11-21 10:02:06 stage on localhost restored\n- 2026-11-21 10:02:06 healthy again, by d-00002\n\n## Probes\n\n| time | host | probe | where | healthy | code | ms | said |\n|---|---|---|---|---|---|---|---|\n| 10:00:00 | localhost | health | http://127.0.0.1:8000/health | yes | 200 | 12 | {} |\n| 10:00:00 | localhost | health | http://127.0.0.1:8000/health | **no** | 500 | 12 | status 500 |\n\n## Log of switch on localhost\n\n```\nTraceback\nValueError\n```\n\n## State now\n\nHealthy: r1 is live again and verified.\n\n## What to do\n\n- Find out why r2 failed before deploying it again; it is never chosen by default.\n- Everything that was recorded: `cutover logs d-00002`\n"}');
CREATE TABLE plans (
    deployment INTEGER PRIMARY KEY REFERENCES deployments ON DELETE CASCADE,
    plan TEXT NOT NULL
) STRICT;
INSERT INTO "plans" VALUES(1,'{"deployment":"d-00001","kind":"deploy","project":"shop","environment":"production","artifact":"artifact-1","commit":"0000000000000000000000000000000000000001","subject":"Change 1","committed_at":"2026-11-21T10:00:00Z","dirty":false,"release":"r1","original":"r0","by":"ada","reason":"","made_at":"2026-11-21T10:01:00Z","steps":[{"id":0,"target":"api","host":"localhost","name":"stage","phase":"prepare","switches":false,"reversal":"restorable","action":{"do":"stage"}},{"id":1,"target":"api","host":"localhost","name":"switch","phase":"live","switches":true,"reversal":"restorable","action":{"do":"switch"}},{"id":2,"target":"api","host":"localhost","name":"prune","phase":"settle","switches":false,"reversal":"restorable","action":{"do":"prune"}}]}');
INSERT INTO "plans" VALUES(2,'{"deployment":"d-00002","kind":"deploy","project":"shop","environment":"production","artifact":"artifact-2","commit":"0000000000000000000000000000000000000002","subject":"Change 2","committed_at":"2026-11-21T10:01:00Z","dirty":false,"release":"r2","original":"r1","by":"ada","reason":"","made_at":"2026-11-21T10:02:00Z","steps":[{"id":0,"target":"api","host":"localhost","name":"stage","phase":"prepare","switches":false,"reversal":"restorable","action":{"do":"stage"}},{"id":1,"target":"api","host":"localhost","name":"switch","phase":"live","switches":true,"reversal":"restorable","action":{"do":"switch"}},{"id":2,"target":"api","host":"localhost","name":"prune","phase":"settle","switches":false,"reversal":"restorable","action":{"do":"prune"}}]}');
CREATE TABLE probes (
    deployment INTEGER NOT NULL REFERENCES deployments ON DELETE CASCADE,
    place INTEGER NOT NULL,
    step INTEGER NOT NULL,
    host TEXT NOT NULL,
    name TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    healthy INTEGER NOT NULL,
    code INTEGER,
    latency_ms INTEGER,
    body TEXT NOT NULL,
    error TEXT NOT NULL,
    pid INTEGER,
    attempt_count INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (deployment, place)
) STRICT, WITHOUT ROWID;
INSERT INTO "probes" VALUES(1,0,0,'localhost','health','http://127.0.0.1:8000/health',1,200,12,'{}','',42,1,1795255200000000000);
INSERT INTO "probes" VALUES(1,1,1,'localhost','health','http://127.0.0.1:8000/health',1,200,12,'{}','',42,1,1795255200000000000);
INSERT INTO "probes" VALUES(1,2,2,'localhost','health','http://127.0.0.1:8000/health',1,200,12,'{}','',42,1,1795255200000000000);
INSERT INTO "probes" VALUES(2,0,0,'localhost','health','http://127.0.0.1:8000/health',1,200,12,'{}','',42,1,1795255200000000000);
INSERT INTO "probes" VALUES(2,1,1,'localhost','health','http://127.0.0.1:8000/health',0,500,12,'{}','status 500',42,1,1795255200000000000);
CREATE TABLE releases (
    project TEXT NOT NULL,
    environment TEXT NOT NULL,
    target TEXT NOT NULL,
    host TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    artifact TEXT NOT NULL,
    current INTEGER NOT NULL,
    previous INTEGER NOT NULL,
    release TEXT NOT NULL,
    PRIMARY KEY (project, environment, target, host, id)
) STRICT, WITHOUT ROWID;
INSERT INTO "releases" VALUES('shop','production','api','localhost','r1',1795255320000000000,'artifact-1',1,0,'{"id":"r1","artifact":"artifact-1","commit":"0000000000000000000000000000000000000000","state":"good","seq":1,"size_bytes":4096,"created_at":"2026-11-21T10:02:00Z","deployment":"d-00001","current":true,"previous":false}');
CREATE TABLE step_times (
    deployment INTEGER NOT NULL REFERENCES deployments ON DELETE CASCADE,
    step INTEGER NOT NULL,
    name TEXT NOT NULL,
    target TEXT NOT NULL,
    elapsed_ms INTEGER NOT NULL,
    PRIMARY KEY (deployment, step)
) STRICT, WITHOUT ROWID;
INSERT INTO "step_times" VALUES(1,0,'stage','api',1000);
INSERT INTO "step_times" VALUES(1,1,'switch','api',1000);
INSERT INTO "step_times" VALUES(1,2,'prune','api',1000);
CREATE INDEX deployments_by_time ON deployments (began_at, id);
CREATE INDEX deployments_by_place ON deployments (project, environment, began_at, id);
CREATE INDEX deployments_by_outcome ON deployments (project, environment, outcome, began_at, id);
CREATE INDEX incidents_by_time ON incidents (opened_at);
CREATE INDEX incidents_by_closing ON incidents (closed_by);
COMMIT;
PRAGMA user_version = 1;
