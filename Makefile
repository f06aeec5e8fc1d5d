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

# Every fuzz target in turn: go fuzzes one at a time. It takes about 20 minutes.
fuzz:
	FUZZTIME=$(FUZZTIME) .ci/fuzz

bench:
	go test -run '^$$' -bench . -count 6 ./...

generate:
	go generate ./...

lint:
	.ci/run format vet staticcheck

ci:
	.ci/run
