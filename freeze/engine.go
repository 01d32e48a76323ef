package freeze

// Engine freezes and thaws the filesystems of one guest.
type Engine struct{}
