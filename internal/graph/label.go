package graph

// Label is a short text for people that says what the command does.
func Label(c Command) string { return c.Type() }
