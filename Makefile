# Rotunda. The two commands: `make run` and `make test`. Everything else here is a part of them.

GO    := $(shell image/install-go)
BUILD := build

.PHONY: all run test test-go test-reproducible test-image image ova lint fuzz reference clean packages codecs prompts
all: image

# The Debian packages to build with, and those to boot and test with.
packages:
	@image/install-packages

# The codec libraries for cgo, in build/codecs. The first time FFmpeg is built: about a minute on two cores.
codecs: packages
	@$(GO) run ./firmware/codecs -out $(BUILD)/codecs

# The built-in prompts, in build/prompts, for tests and for a Call Bridge on this machine.
prompts: packages
	@$(GO) run ./image/prompts/speak -out $(BUILD)/prompts

# Boots the image with its serial console in this terminal. Ctrl-A X ends it.
run: codecs image
	@$(GO) run ./qemu/run

# The products: rotunda.efi, disk.img, upgrade.img and sbom.json; `make ova` adds rotunda.ova.
image: codecs
	@$(GO) run ./image -out $(BUILD)

ova: codecs
	@$(GO) run ./image -out $(BUILD) -only ova

lint: codecs
	@echo "== gofmt, go vet, staticcheck"
	@bad=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); [ -z "$$bad" ] || { echo "gofmt would change:"; echo "$$bad"; exit 1; }
	@$(GO) vet ./...
	@$(GO) vet -tags qemu ./qemu/...
	@$(GO) tool staticcheck -tags qemu ./...

# Every test: the parts with the race detector, then the booted image.
test: codecs lint test-go image test-reproducible test-image

# Sound and pictures are tested in real time: those packages run one at a time, with nothing beside them.
LIVE := rotunda/services/media/engine rotunda/services/media/peers rotunda/services/callbridge/peers

# These take longest and begin first, so that none of them is left to run alone at the end.
LONG := $(addprefix rotunda/services/,turn callbridge/api callbridge/store database media/audio callbridge/directory)

# A program with the race detector waits a second before it ends, and some tests start many.
RACE := GORACE=atexit_sleep_ms=0

test-go: codecs prompts
	@echo "== parts, with the race detector"
	@$(RACE) $(GO) test -race -timeout 10m $(LONG) $$($(GO) list ./... | grep -v -x $(foreach p,$(LIVE),-e $(p)))
	@echo "== parts that keep time"
	@$(RACE) $(GO) test -race -p 1 -timeout 10m $(LIVE)
	@echo "== long computations, without it"
	@$(GO) test -timeout 10m ./services/media/audio

# A second build of this commit, from the download of the packages on, gives the same bytes as the image.
test-reproducible: image
	@echo "== two builds of one commit"
	@ROTUNDA_REPRODUCE=1 $(GO) test -run TestTwoBuildsOfOneCommitAreIdentical -count=1 -v -timeout 15m ./image

# Three machines at a time: one of them waits mostly, for a watchdog, for two minutes to pass or for a disk.
test-image: codecs
	@echo "== the booted image"
	@$(GO) test -tags qemu -p 1 -parallel 3 -count=1 -v -timeout 40m ./qemu/...

# Runs each fuzz test for FUZZTIME; `make test` runs their corpora.
FUZZTIME ?= 10s
fuzz: codecs
	@for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9]*\).*/\1/p' $$file); do \
			echo "== $$name in $$(dirname $$file)"; \
			$(GO) test -run '^$$' -fuzz "^$$name$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$(dirname $$file) || exit 1; \
		done; done

# make bench-boot, bench-…: figures as JSON lines in build/bench.jsonl.
bench-%: codecs image
	@$(GO) run ./qemu/bench $*

# The media engine beside Janus and ffmpeg, in 12 minutes; FIGURES chooses some by name. The soak watches the memory of a
# worker under a meeting in which people come and go.
FIGURES ?=
SOAK    ?= 30m
.PHONY: bench-media soak-media mediaworker
bench-media: mediaworker
	@$(GO) run ./services/media/bench $(FIGURES)

soak-media: mediaworker
	@$(GO) run ./services/media/bench -soak $(SOAK)

# 200 calls of SIP with sound, and nine with pictures, through all programs, in 5 minutes.
.PHONY: bench-calls
bench-calls: mediaworker prompts
	@$(GO) run ./services/media/bench calls_audio_200_late_ms calls_video_720

# The TURN server beside coturn, as root, in 10 minutes.
.PHONY: bench-turn
bench-turn:
	@image/install-packages bench
	@$(GO) run ./services/turn/bench $(FIGURES)

# The store of application objects with 300,000 users, in 5 minutes.
.PHONY: bench-api
bench-api:
	@$(GO) run ./services/callbridge/bench

# Calls by SIP through all programs, beside a bare answerer, in 3 minutes.
.PHONY: bench-sip
bench-sip: mediaworker prompts
	@$(GO) run ./services/callbridge/sipbench $(FIGURES)

mediaworker: codecs
	@image/install-packages bench
	@$(GO) build -o $(BUILD)/mediaworker ./services/media/worker

# The reference pages in docs/ that are made from declarations.
reference:
	@$(GO) generate ./...

clean:
	rm -rf $(BUILD)
