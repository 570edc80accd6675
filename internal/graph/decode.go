package graph

import (
	"encoding/json"

	"github.com/graphroom/graphroom/internal/fault"
)

// Decode reads a command.
func Decode(commandType string, data json.RawMessage) (Command, error) {
	return nil, fault.New(fault.InvalidCommand, "unknown command type %q", commandType)
}
