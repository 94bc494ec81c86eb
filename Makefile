# Two commands: `make demo` shows it, `make test` proves it.
#
#   make demo DEMO="--for 60s"     any flag of `walhouse demo`
#   make test                      every check and test, on the default, the oldest and the newest Postgres

DEMO ?=
TEST ?=

.PHONY: demo test build needs-demo needs-test

demo: needs-demo build
	./target/release/walhouse demo $(DEMO)

test: needs-test
	cargo xtask ci $(TEST)

build:
	cargo build --release --package walhouse

needs-demo:
	@./scripts/needs.sh demo

needs-test:
	@./scripts/needs.sh test
