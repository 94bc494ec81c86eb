# `make demo` shows it, `make demo-kafka` shows it through Kafka, `make test` proves it.
#
#   make demo DEMO="--for 60s"     any flag of `walhouse demo`
#   make demo-superset             the same, with a Superset full of dashboards
#   make demo-kafka                the same through Kafka; fetches a broker from Maven Central
#   make test                      every check and test, on the default, the oldest and the newest Postgres

DEMO ?=
TEST ?=

.PHONY: demo demo-superset demo-kafka test build needs-demo needs-demo-superset needs-demo-kafka needs-test

demo: needs-demo build
	./target/release/walhouse demo $(DEMO)

demo-superset: needs-demo-superset build
	./target/release/walhouse demo --superset $(DEMO)

demo-kafka: needs-demo-kafka build
	./target/release/walhouse demo --kafka --dir walhouse-demo-kafka $(DEMO)

test: needs-test
	cargo xtask ci $(TEST)

build:
	cargo build --release --package walhouse

needs-demo:
	@./scripts/needs.sh demo

needs-demo-superset:
	@./scripts/needs.sh demo-superset

needs-demo-kafka:
	@./scripts/needs.sh demo-kafka

needs-test:
	@./scripts/needs.sh test
