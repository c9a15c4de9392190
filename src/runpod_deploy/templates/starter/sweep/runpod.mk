# Targets for GPU jobs. Put this line into your Makefile:   include runpod.mk
# Then, for example:                                        make runpod-plan JOB=job.yaml
RUNPOD_DEPLOY ?= runpod-deploy
JOB ?= job.yaml

.PHONY: runpod-validate runpod-plan runpod-rehearse runpod-apply runpod-sweep runpod-schema

runpod-validate:  ## Is the job file right?
	$(RUNPOD_DEPLOY) validate $(JOB)

runpod-plan:  ## What would be done, without doing it
	$(RUNPOD_DEPLOY) plan $(JOB)

runpod-rehearse:  ## The whole run against an emulator on this machine: no account, no cost
	$(RUNPOD_DEPLOY) apply $(JOB) --cloud emulator --yes

runpod-apply:  ## The real run; asks first
	$(RUNPOD_DEPLOY) apply $(JOB)

runpod-schema:  ## Renew the copy of the schema that editors read, after an upgrade
	$(RUNPOD_DEPLOY) schema job -o .runpod-deploy/job.schema.json

# One run per seed, one after the other; the first that fails ends the sweep. Each has its own
# budget: together they may cost the number of seeds times `budget.cost_cap_usd`.
SEEDS ?= 1 2 3
SWEEP_FLAGS ?=

runpod-sweep:  ## One run per seed: make runpod-sweep SEEDS="1 2 3"
	@set -e; for seed in $(SEEDS); do \
	  echo "== seed $$seed"; \
	  $(RUNPOD_DEPLOY) run $(JOB) --var seed=$$seed $(SWEEP_FLAGS); \
	done
