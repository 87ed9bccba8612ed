# Two commands. Both set up what is missing first (system packages, the build, models) and say what they do.

export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/sidenote/target

.PHONY: demo test

demo: ## reads corpus/ and answers a question about it
	@scripts/demo.sh

test: ## all tests, the lints and the format
	@scripts/test.sh
