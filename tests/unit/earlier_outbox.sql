BEGIN TRANSACTION;
CREATE TABLE contacts (
	pipeline VARCHAR(64) NOT NULL, 
	experiment_id VARCHAR(64) NOT NULL, 
	since DATETIME NOT NULL, 
	looked_at DATETIME NOT NULL, 
	watermark DATETIME, 
	past_read BOOLEAN NOT NULL, 
	PRIMARY KEY (pipeline, experiment_id)
);
CREATE TABLE "fires" (
	fire_id VARCHAR(64) NOT NULL, 
	pipeline VARCHAR(64) NOT NULL, 
	due_at DATETIME NOT NULL, 
	number INTEGER NOT NULL, 
	confirms VARCHAR(64), 
	state VARCHAR(16) NOT NULL, 
	started_at DATETIME, 
	ended_at DATETIME, 
	run_id VARCHAR(64), 
	exit_code INTEGER, 
	timed_out BOOLEAN NOT NULL, 
	by_hand BOOLEAN DEFAULT 0 NOT NULL, 
	attempt INTEGER DEFAULT '0' NOT NULL, 
	PRIMARY KEY (fire_id)
);
CREATE TABLE herald_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT herald_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "herald_version" VALUES('0009');
CREATE TABLE incidents (
	incident_id VARCHAR(64) NOT NULL, 
	pipeline VARCHAR(64) NOT NULL, 
	series VARCHAR(500) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	opened_at DATETIME NOT NULL, 
	incident TEXT NOT NULL, closed_at DATETIME, 
	PRIMARY KEY (incident_id)
);
CREATE TABLE leases (
	name VARCHAR(128) NOT NULL, 
	owner VARCHAR(64) NOT NULL, 
	until DATETIME NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE looks (
	pipeline VARCHAR(64) NOT NULL, 
	seen_at DATETIME, 
	failing_since DATETIME, 
	said TEXT DEFAULT '' NOT NULL, 
	PRIMARY KEY (pipeline)
);
CREATE TABLE objects (
	target VARCHAR(400) NOT NULL, 
	external_id VARCHAR(255) NOT NULL, 
	place VARCHAR(255) NOT NULL, 
	title VARCHAR(500) NOT NULL, 
	url TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	PRIMARY KEY (target)
);
CREATE TABLE outbox (
	seq INTEGER NOT NULL, 
	effect_id VARCHAR(500) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	service VARCHAR(64) NOT NULL, 
	lane VARCHAR(450) NOT NULL, 
	pipeline VARCHAR(64) NOT NULL, 
	incident_id VARCHAR(64), 
	effect TEXT NOT NULL, 
	"view" TEXT, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	not_before DATETIME NOT NULL, 
	owner VARCHAR(64), 
	leased_until DATETIME, 
	sent_at DATETIME, 
	error TEXT, 
	unbound TEXT NOT NULL, 
	created_at DATETIME NOT NULL, 
	delivered_at DATETIME, fields TEXT, waits_for VARCHAR(400), parked_for VARCHAR(16), parked_at DATETIME, 
	PRIMARY KEY (seq), 
	UNIQUE (effect_id)
);
INSERT INTO "outbox" VALUES(1,'update_section:confluence/page/Search (Herald test):run5','update_section','confluence','confluence/page/Search (Herald test)','search',NULL,'[{"kind":"update_section","target":{"service":"confluence","kind":"page","name":"Search (Herald test)"},"cause":"run5","incident_id":null,"needs":[]}]','[{"title":"Search (Herald test)","pipeline":"Search","description":"What it is for.","owner":"Search team","metrics":["Ranking quality"],"history":[],"incidents":[],"links":{}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(2,'publish_archive:confluence/page/Search 2026 (Herald test):year','publish_archive','confluence','confluence/page/Search 2026 (Herald test)','search',NULL,'[{"kind":"publish_archive","target":{"service":"confluence","kind":"page","name":"Search 2026 (Herald test)"},"cause":"year","incident_id":null,"needs":[{"service":"confluence","kind":"page","name":"Search (Herald test)"}]}]','[{"title":"Search 2026 (Herald test)","pipeline":"Search","year":"2026","links":{"pipeline":{"service":"confluence","kind":"page","name":"Search (Herald test)"}}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(3,'publish_page:confluence/page/Search: run 1 (run1):run5','publish_page','confluence','confluence/page/Search: run 1 (run1)','search','0123456789ab','[{"kind":"publish_page","target":{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"},"cause":"run5","incident_id":"0123456789ab","needs":[{"service":"confluence","kind":"page","name":"Search 2026 (Herald test)"}]}]','[{"title":"Search: run 1 (run1)","verdict":{"outcome":"regressed","kind":"regressed","pipeline":"Search","headline":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"slices":[],"baseline_runs":"3","bad_runs":"2","reruns_agree":false,"exit_code":"","silent_for":"","cadence":"","unseen_for":"","said":"","whole":false},"run":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"rows":[{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""}],"slices":[],"params":[],"facts":[],"chart":null,"marker":"herald-test-0123456789ab-0-1","labels":["herald"],"previous":null,"links":{"pipeline":{"service":"confluence","kind":"page","name":"Search (Herald test)"},"archive":{"service":"confluence","kind":"page","name":"Search 2026 (Herald test)"}},"peers":[],"peer_metrics":[],"release":null,"unread":[]}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(4,'label_page:confluence/page/Search: run 1 (run1):run5','label_page','confluence','confluence/page/Search: run 1 (run1)/label_page','search',NULL,'[{"kind":"label_page","target":{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"},"cause":"run5","incident_id":null,"needs":[{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"}]}]','[{"labels":["herald","herald-test-0123456789ab-0-1"]}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(5,'attach_to_page:confluence/page/Search: run 1 (run1):run5','attach_to_page','confluence','confluence/page/Search: run 1 (run1)/attach_to_page','search','0123456789ab','[{"kind":"attach_to_page","target":{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"},"cause":"run5","incident_id":"0123456789ab","needs":[{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"}]}]','[{"metric":"ndcg","labels":["run 1","run 2"],"values":[0.8,0.6],"outcomes":[null,null],"baseline":null,"band":null,"filename":"history-1.png"}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(6,'open_ticket:jira/ticket/herald-test-0123456789ab-0-1:opened','open_ticket','jira','jira/ticket/herald-test-0123456789ab-0-1','search','0123456789ab','[{"kind":"open_ticket","target":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"cause":"opened","incident_id":"0123456789ab","needs":[]}]','[{"verdict":{"outcome":"regressed","kind":"regressed","pipeline":"Search","headline":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"slices":[],"baseline_runs":"3","bad_runs":"2","reruns_agree":false,"exit_code":"","silent_for":"","cadence":"","unseen_for":"","said":"","whole":false},"run":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"onset":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"rows":[{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""}],"slices":[],"facts":[],"owner":"Search team","marker":"herald-test-0123456789ab-0-1","chart":"","log_tail":"","release":null,"compared":[],"links":{"report":{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"}}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(7,'attach_to_ticket:jira/ticket/herald-test-0123456789ab-0-1:run5','attach_to_ticket','jira','jira/ticket/herald-test-0123456789ab-0-1/attach_to_ticket','search','0123456789ab','[{"kind":"attach_to_ticket","target":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"cause":"run5","incident_id":"0123456789ab","needs":[{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"}]}]','[{"metric":"ndcg","labels":["run 1","run 2"],"values":[0.8,0.6],"outcomes":[null,null],"baseline":null,"band":null,"filename":"history-1.png"}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(8,'link_ticket:jira/ticket/herald-test-0123456789ab-0-1:run5','link_ticket','jira','jira/ticket/herald-test-0123456789ab-0-1/link_ticket','search','0123456789ab','[{"kind":"link_ticket","target":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"cause":"run5","incident_id":"0123456789ab","needs":[{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"}]}]','[{"links":{"report":{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"}}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(9,'attach_text:jira/ticket/herald-test-0123456789ab-0-1:opened','attach_text','jira','jira/ticket/herald-test-0123456789ab-0-1/attach_text','search','0123456789ab','[{"kind":"attach_text","target":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"cause":"opened","incident_id":"0123456789ab","needs":[{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"}]}]','[{"verdict":{"outcome":"regressed","kind":"regressed","pipeline":"Search","headline":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"slices":[],"baseline_runs":"3","bad_runs":"2","reruns_agree":false,"exit_code":"","silent_for":"","cadence":"","unseen_for":"","said":"","whole":false},"run":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"onset":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"rows":[{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""}],"slices":[],"facts":[],"owner":"Search team","marker":"herald-test-0123456789ab-0-1","chart":"","log_tail":"","release":null,"compared":[],"links":{}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(10,'tell_channel:slack/message/C1 test-0123456789ab:run5/filed','tell_channel','slack','slack/message/C1 test-0123456789ab','search','0123456789ab','[{"kind":"tell_channel","target":{"service":"slack","kind":"message","name":"C1 test-0123456789ab"},"cause":"run5/filed","incident_id":"0123456789ab","needs":[]}]','[{"tone":"bad","verdict":{"outcome":"regressed","kind":"regressed","pipeline":"Search","headline":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"slices":[],"baseline_runs":"3","bad_runs":"2","reruns_agree":false,"exit_code":"","silent_for":"","cadence":"","unseen_for":"","said":"","whole":false},"run":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"onset":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"rows":[{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""}],"owner":"Search team","mark":"test-0123456789ab","duration":"","links":{"ticket":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"report":{"service":"confluence","kind":"page","name":"Search: run 1 (run1)"}}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(11,'share_chart:slack/message/C1 test-0123456789ab:run5','share_chart','slack','slack/message/C1 test-0123456789ab/share_chart','search','0123456789ab','[{"kind":"share_chart","target":{"service":"slack","kind":"message","name":"C1 test-0123456789ab"},"cause":"run5","incident_id":"0123456789ab","needs":[{"service":"slack","kind":"message","name":"C1 test-0123456789ab"}]}]','[{"metric":"ndcg","labels":["run 1","run 2"],"values":[0.8,0.6],"outcomes":[null,null],"baseline":null,"band":null,"filename":"history-1.png"}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(12,'comment_ticket:jira/ticket/herald-test-0123456789ab-0-1:run6','comment_ticket','jira','jira/ticket/herald-test-0123456789ab-0-1','search','0123456789ab','[{"kind":"comment_ticket","target":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"cause":"run6","incident_id":"0123456789ab","needs":[]}]','[{"kind":"repeat","verdict":{"outcome":"regressed","kind":"regressed","pipeline":"Search","headline":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"slices":[],"baseline_runs":"3","bad_runs":"2","reruns_agree":false,"exit_code":"","silent_for":"","cadence":"","unseen_for":"","said":"","whole":false},"run":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"rows":[{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""}],"mark":"mark-run6","duration":"","links":{}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(13,'attach_comment:jira/ticket/herald-test-0123456789ab-0-1:run6','attach_comment','jira','jira/ticket/herald-test-0123456789ab-0-1/attach_comment','search','0123456789ab','[{"kind":"attach_comment","target":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"cause":"run6","incident_id":"0123456789ab","needs":[{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"}]}]','[{"kind":"repeat","verdict":{"outcome":"regressed","kind":"regressed","pipeline":"Search","headline":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"slices":[],"baseline_runs":"3","bad_runs":"2","reruns_agree":false,"exit_code":"","silent_for":"","cadence":"","unseen_for":"","said":"","whole":false},"run":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"rows":[{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""}],"mark":"mark-run6","duration":"","links":{}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(14,'reply_in_thread:slack/message/C1 test-0123456789ab:run6/repeated','reply_in_thread','slack','slack/message/C1 test-0123456789ab/reply_in_thread','search','0123456789ab','[{"kind":"reply_in_thread","target":{"service":"slack","kind":"message","name":"C1 test-0123456789ab"},"cause":"run6/repeated","incident_id":"0123456789ab","needs":[{"service":"slack","kind":"message","name":"C1 test-0123456789ab"}]}]','[{"kind":"repeat","verdict":{"outcome":"regressed","kind":"regressed","pipeline":"Search","headline":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"slices":[],"baseline_runs":"3","bad_runs":"2","reruns_agree":false,"exit_code":"","silent_for":"","cadence":"","unseen_for":"","said":"","whole":false},"run":{"name":"run 5","run_id":"run5","url":"https://mlflow.example/run5","when":"24 Nov 2026, 12:00","seed":"","duration":""},"rows":[{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""}],"mark":"reply-run6","duration":"","links":{}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(15,'resolve_ticket:jira/ticket/herald-test-0123456789ab-0-1:run7','resolve_ticket','jira','jira/ticket/herald-test-0123456789ab-0-1','search','0123456789ab','[{"kind":"resolve_ticket","target":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"},"cause":"run7","incident_id":"0123456789ab","needs":[]}]',NULL,'pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(16,'post_digest:slack/message/C1 test-digest-20261124T120000:digest','post_digest','slack','slack/message/C1 test-digest-20261124T120000','search',NULL,'[{"kind":"post_digest","target":{"service":"slack","kind":"message","name":"C1 test-digest-20261124T120000"},"cause":"digest","incident_id":null,"needs":[]}]','[{"title":"Status of 24 Nov 2026","tone":"bad","since":"17 Nov","until":"24 Nov","is_quiet":false,"runs":"3","pipelines":"1","parts":[{"section":"needs_you","lines":[{"kind":"standing","pipeline":"Search","incident":"regressed","row":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"others":[],"whole":false,"why":"","is_new":false,"when":"24 Nov","duration":"","owner":"Search team","service":"","count":"","metric":"","said":"","watches":false,"ticket":"ticket0"}],"more":""}],"mark":"test-digest","links":{"ticket0":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"}}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
INSERT INTO "outbox" VALUES(17,'publish_digest:confluence/page/Status of 24 Nov 2026:digest','publish_digest','confluence','confluence/page/Status of 24 Nov 2026','search',NULL,'[{"kind":"publish_digest","target":{"service":"confluence","kind":"page","name":"Status of 24 Nov 2026"},"cause":"digest","incident_id":null,"needs":[]}]','[{"title":"Status of 24 Nov 2026","tone":"bad","since":"17 Nov","until":"24 Nov","is_quiet":false,"runs":"3","pipelines":"1","parts":[{"section":"needs_you","lines":[{"kind":"standing","pipeline":"Search","incident":"regressed","row":{"metric":"ndcg","plain":"Ranking quality","outcome":"regressed","reason":"confirmed","value":"0.60","baseline":"0.80","change":"−0.20","relative":"−25 %","interval":"","spread":"0.01","detectable":"0.02","part":"","share_of_loss":"","examples":"","higher_is_better":true,"why":"","is_release":false,"now":"","over":""},"also":[],"others":[],"whole":false,"why":"","is_new":false,"when":"24 Nov","duration":"","owner":"Search team","service":"","count":"","metric":"","said":"","watches":false,"ticket":"ticket0"}],"more":""}],"mark":"test-digest","links":{"ticket0":{"service":"jira","kind":"ticket","name":"herald-test-0123456789ab-0-1"}}}]','pending',0,'2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,'','2026-11-24 12:00:00.000000',NULL,NULL,NULL,NULL,NULL);
CREATE TABLE pipelines (
	name VARCHAR(64) NOT NULL, 
	known_since DATETIME NOT NULL, 
	schedule TEXT NOT NULL, 
	scheduled_since DATETIME, 
	next_due DATETIME, 
	PRIMARY KEY (name)
);
CREATE TABLE "runs" (
	run_id VARCHAR(64) NOT NULL, 
	pipeline VARCHAR(64) NOT NULL, 
	series VARCHAR(500) NOT NULL, 
	fire_id VARCHAR(64), 
	ended_at DATETIME NOT NULL, 
	judged_at DATETIME NOT NULL, 
	outcome VARCHAR(32) NOT NULL, 
	accepted BOOLEAN NOT NULL, 
	wants_confirmation BOOLEAN NOT NULL, 
	page_title VARCHAR(255), 
	run TEXT NOT NULL, 
	card TEXT NOT NULL, 
	findings TEXT NOT NULL, unread TEXT, 
	PRIMARY KEY (pipeline, run_id)
);
CREATE TABLE series_states (
	pipeline VARCHAR(64) NOT NULL, 
	series VARCHAR(500) NOT NULL, 
	state TEXT NOT NULL, 
	PRIMARY KEY (pipeline, series)
);
CREATE TABLE set_aside (
	pipeline VARCHAR(64) NOT NULL, 
	run_id VARCHAR(64) NOT NULL, 
	name TEXT NOT NULL, 
	why TEXT NOT NULL, 
	fire_id VARCHAR(64), 
	ended_at DATETIME NOT NULL, 
	was_past BOOLEAN NOT NULL, 
	log_tail TEXT NOT NULL, 
	since DATETIME NOT NULL, 
	tries INTEGER NOT NULL, 
	not_before DATETIME, 
	version VARCHAR(32) NOT NULL, 
	waits BOOLEAN NOT NULL, 
	PRIMARY KEY (pipeline, run_id)
);
CREATE INDEX ix_fires_state ON fires (state);
CREATE INDEX runs_by_series ON runs (pipeline, series, ended_at);
CREATE INDEX fires_by_number ON fires (pipeline, number);
CREATE INDEX fires_by_end ON fires (pipeline, state, ended_at);
CREATE INDEX runs_by_end ON runs (pipeline, ended_at);
CREATE INDEX runs_accepted ON runs (pipeline, series, accepted, ended_at);
CREATE INDEX incidents_by_series ON incidents (pipeline, state, series);
CREATE INDEX incidents_by_end ON incidents (state, closed_at);
CREATE INDEX objects_by_age ON objects (created_at);
CREATE INDEX outbox_by_state ON outbox (state, seq, service, not_before, leased_until, lane, kind);
CREATE INDEX outbox_by_time ON outbox (state, not_before);
CREATE INDEX outbox_by_lane ON outbox (lane, state, seq, kind);
CREATE INDEX outbox_by_kind ON outbox (kind, lane, created_at);
CREATE INDEX outbox_by_incident ON outbox (incident_id, state, kind);
CREATE INDEX fires_that_confirm ON fires (confirms) WHERE confirms IS NOT NULL;
CREATE INDEX outbox_leased ON outbox (state, owner) WHERE owner IS NOT NULL;
CREATE INDEX outbox_waiting ON outbox (state, waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX outbox_unbound ON outbox (state, kind) WHERE unbound != '';
COMMIT;
