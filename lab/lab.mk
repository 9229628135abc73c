# SPDX-License-Identifier: MIT

##@ Settings of the lab
## KERNEL=NAME      a kernel of lab/kernels.toml; for "make lab" also "ci", all that CI boots
## ROOT=NAME        a userland of lab/roots.toml to make; also "ci"
## SECONDS=N        how long the stress program runs (60)
KERNEL ?=
ROOT ?=
SECONDS ?= 60

.PHONY: lab lab-kernels lab-stress lab-mutations judge-controls lab-clean
lab: ## build the image of a lab kernel (cached; half an hour on 2 CPUs the first time)
	@python3 -m lab.build $(KERNEL) $(addprefix --root ,$(ROOT))

lab-kernels: ## try lazyobs on each kernel and userland of the lab's tables; results go to docs/kernels.md
	@python3 -m lab.build $(if $(KERNEL),$(KERNEL),tour)
	@status=0; python3 -m lab.tour $(KERNEL) || status=$$?; python3 -m lab.docs; exit $$status

lab-stress: ## run the stress program in a lab kernel
	@python3 -m lab.stress $(if $(KERNEL),--kernel $(KERNEL)) --seconds $(SECONDS)

lab-mutations: ## which test notices which mistake of the kernel; results go to docs/kernel-selftests.md
	@python3 -m lab.build lab-mutant
	@status=0; python3 -m lab.mutations --missing || status=$$?; python3 -m lab.docs; exit $$status

judge-controls: installed ## whether judge says what is right of patches that are known (days; goes on where it was); docs/judge-controls.md
	@status=0; $(PYTHON) -m lab.controls || status=$$?; python3 -m lab.docs; exit $$status

lab-clean: ## remove the lab's cache: source, objects, images
	@python3 -c 'import shutil, lab.cache; shutil.rmtree(lab.cache.root(), ignore_errors=True)'
