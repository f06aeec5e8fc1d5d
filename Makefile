# Short names for the commands of CONTRIBUTING.md.
FUZZTIME ?= 20s

.PHONY: test race noasm clients fuzz bench generate lint ci

test:
	go test ./...

race:
	.ci/run race

noasm:
	.ci/run noasm

clients:
	.ci/clients

# Every fuzz target in turn: go fuzzes one at a time.
fuzz:
	@set -e; for pkg in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg; \
		done; \
	done

bench:
	go test -run '^$$' -bench . -count 6 ./...

generate:
	go generate ./...

lint:
	.ci/run format vet staticcheck

ci:
	.ci/run
