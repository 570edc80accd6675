package server

import (
	"github.com/google/uuid"

	"github.com/graphroom/graphroom/internal/fault"
	"github.com/graphroom/graphroom/internal/graph"
)

const (
	headerIdempotency = "Idempotency-Key"
	maxIdempotencyKey = 255 // characters
)

// IdempotencyParams is the header that makes a request safe to send again.
type IdempotencyParams struct {
	IdempotencyKey string `header:"Idempotency-Key" doc:"1 to 255 characters, unique in the session: the same request sent again with it runs once. Stands for a command_id; a UUID is that command_id itself."`
}

// commandID is the command id that header and body name for a request to that
// session; "" when neither does (SPEC R-24).
func (p *IdempotencyParams) commandID(sessionID, fromBody string) (string, error) {
	key, err := p.key()
	if key == "" || err != nil {
		return fromBody, err
	}
	id := keyID("command", sessionID, key)
	if given, err := graph.ParseID(key); err == nil {
		id = given.String()
	}
	if fromBody == "" {
		return id, nil
	}
	if given, err := graph.ParseID(fromBody); err != nil || given.String() != id {
		return "", fault.New(fault.InvalidRequest, "%s and command_id name two different commands: send one of them", headerIdempotency).
			With(fault.Detail{Location: "command_id", Message: "differs from " + headerIdempotency})
	}
	return id, nil
}

// newSessionID names the session that a request without one makes: always the
// same one for the same key or command id, "" (any) without both.
func (p *IdempotencyParams) newSessionID(fromBody string) (string, error) {
	key, err := p.key()
	if err != nil {
		return "", err
	}
	if key == "" {
		key = fromBody
	}
	if id, err := graph.ParseID(key); err == nil {
		key = id.String()
	}
	if key == "" {
		return "", nil
	}
	return keyID("session", key), nil
}

// key is the header's value. The quotes of the header's standard form are not
// part of it.
func (p *IdempotencyParams) key() (string, error) {
	key := p.IdempotencyKey
	if n := len(key); n >= 2 && key[0] == '"' && key[n-1] == '"' {
		key = key[1 : n-1]
		if key == "" {
			return "", badKey()
		}
	}
	if !printable(key, maxIdempotencyKey) {
		return "", badKey()
	}
	return key, nil
}

func badKey() error {
	return fault.New(fault.InvalidRequest, "%s must be 1 to %d printable characters", headerIdempotency, maxIdempotencyKey).
		With(fault.Detail{Location: "header." + headerIdempotency, Message: "wrong length or characters"})
}

// keyID is a UUID that depends on the parts alone, and on each of them.
func keyID(parts ...string) string {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("graphroom:idempotency-key"))
	for _, part := range parts {
		space = uuid.NewSHA1(space, []byte(part))
	}
	return space.String()
}
