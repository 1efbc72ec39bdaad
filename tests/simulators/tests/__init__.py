"""The simulators' own tests: that they are as harsh as the facts in the reference say."""
