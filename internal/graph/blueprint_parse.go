package graph

import "github.com/graphroom/graphroom/internal/fault"

// ParseBlueprint reads a blueprint file.
func ParseBlueprint(file string, data []byte) (*Blueprint, error) {
	return nil, fault.New(fault.InvalidRequest, "%s is not a blueprint", file)
}
