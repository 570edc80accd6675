package graph

import (
	"encoding/json"

	"github.com/graphroom/graphroom/internal/fault"
)

// Canonical checks raw against the property.
func (p *Property) Canonical(raw json.RawMessage) (json.RawMessage, error) {
	return raw, nil
}

// CanonicalName checks a node's name.
func CanonicalName(s string) (string, error) {
	return s, nil
}

func quote(s string) string { return fault.New("", "%q", s).Message }
