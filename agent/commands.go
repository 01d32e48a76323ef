package agent

// noArgs is the argument struct of a command that takes none.
type noArgs struct{}

// empty is the return value of a command whose success says nothing: {}.
type empty struct{}
