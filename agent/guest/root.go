package guest

// Root is the directory below which a guest's /proc, /sys, /etc, /run and
// /dev are read: "/" for the guest the agent runs in, a captured tree under
// testdata/guests in tests.
type Root string
