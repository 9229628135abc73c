# SPDX-License-Identifier: MIT

##@ Settings of the lab
## KERNEL=NAME      a kernel of lab/kernels.toml; for "make lab" also "ci", all that CI boots
## SECONDS=N        how long the stress program runs (60)
KERNEL ?=
SECONDS ?= 60

.PHONY: lab lab-stress lab-clean
lab: ## build the image of a lab kernel (cached; half an hour on 2 CPUs the first time)
	@python3 -m lab.build $(KERNEL)

lab-stress: ## run the stress program in a lab kernel
	@python3 -m lab.stress $(if $(KERNEL),--kernel $(KERNEL)) --seconds $(SECONDS)

lab-clean: ## remove the lab's cache: source, objects, images
	@python3 -c 'import shutil, lab.cache; shutil.rmtree(lab.cache.root(), ignore_errors=True)'
