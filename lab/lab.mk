# SPDX-License-Identifier: MIT
# make lab [KERNEL=NAME]         makes the image of one kernel of lab/kernels.toml, KERNEL=ci all of CI's
# make lab-stress [KERNEL=NAME] [SECONDS=N]   the stress program in it
# make lab-clean                 removes the lab's cache: source, objects, images

KERNEL ?=
SECONDS ?= 60

.PHONY: lab lab-stress lab-clean
lab:
	@python3 -m lab.build $(KERNEL)

lab-stress:
	@python3 -m lab.stress $(if $(KERNEL),--kernel $(KERNEL)) --seconds $(SECONDS)

lab-clean:
	@python3 -c 'import shutil, lab.cache; shutil.rmtree(lab.cache.root(), ignore_errors=True)'
