"""Whether a plan is what a team allows: each rule of a policy file held against the plan."""
