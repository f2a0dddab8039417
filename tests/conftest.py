"""One seed for the whole run, whose processes must agree on the names of the tests."""

import os
import random

os.environ.setdefault("MODELPRESS_TEST_SEED", str(random.SystemRandom().randrange(10_000)))
