# SPDX-License-Identifier: MIT
# make lab [KERNEL=NAME] makes the image of one kernel of lab/kernels.toml, KERNEL=ci all of CI's.

KERNEL ?=

.PHONY: lab lab-clean
lab:
	@python3 -m lab.build $(KERNEL)

lab-clean:
	@python3 -c 'import shutil, lab.cache; shutil.rmtree(lab.cache.root(), ignore_errors=True)'
