package server

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math"
	"strconv"
	"strings"

	"github.com/graphroom/graphroom/internal/session"
)

// recovery makes and opens the pids of Socket.IO's connection state recovery
// (Socket.IO protocol 5). A pid is a signed note of session, actor and epoch:
// the server keeps nothing, so recovery works across a restart for as long as
// the key and the journal do.
type recovery struct{ key []byte }

// RecoveryKeySize is the number of random bytes in Config.RecoveryKey.
const RecoveryKeySize = 32

func newRecovery(key []byte) recovery {
	if len(key) == 0 {
		key = make([]byte, RecoveryKeySize)
		_, _ = rand.Read(key) // never fails
	}
	return recovery{key}
}

type pidNote struct {
	Session string `json:"s"`
	Actor   string `json:"a,omitempty"`
	Epoch   string `json:"e"`
	Nonce   string `json:"n"` // so that a client whose recovery failed sees another pid
}

func (r recovery) issue(sessionID, actor, epoch string) string {
	var nonce [8]byte
	_, _ = rand.Read(nonce[:]) // never fails
	note, err := json.Marshal(pidNote{sessionID, actor, epoch, hex.EncodeToString(nonce[:])})
	if err != nil {
		return "" // a struct of strings always encodes
	}
	body := base64.RawURLEncoding.EncodeToString(note)
	return body + "." + r.sign(body)
}

func (r recovery) sign(body string) string {
	mac := hmac.New(sha256.New, r.key)
	mac.Write([]byte("graphroom pid v1 " + body))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// open returns the epoch that the pid was issued for, if it is ours and of that
// session and actor.
func (r recovery) open(pid, sessionID, actor string) (epoch string, ok bool) {
	body, signature, found := strings.Cut(pid, ".")
	if !found || !hmac.Equal([]byte(signature), []byte(r.sign(body))) {
		return "", false
	}
	data, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil {
		return "", false
	}
	var note pidNote
	if json.Unmarshal(data, &note) != nil || note.Session != sessionID || note.Actor != actor {
		return "", false
	}
	return note.Epoch, true
}

// options says where the client stands: by pid and offset when it has them, by
// its own epoch and last_seq else. known: the pid is ours.
func (r recovery) options(a *authPayload, actor string) (opt session.JoinOptions, known bool) {
	opt = session.JoinOptions{Epoch: a.Epoch, LastSeq: a.LastSeq, Snapshot: a.Snapshot}
	if !a.Recovery || a.PID == "" {
		return opt, false
	}
	epoch, ok := r.open(a.PID, a.SessionID, actor)
	if !ok {
		return opt, false
	}
	if seq, err := strconv.ParseUint(a.Offset, 10, 64); err == nil {
		opt.Epoch, opt.LastSeq = epoch, &seq
	}
	return opt, true
}

// noOffset marks an item after which a client does not yet have everything up
// to a number: hello before a replay, and all of the state but its last part.
const noOffset = math.MaxUint64

// offsetOf is the trailing argument for clients that asked for recovery: the
// number up to which they have everything.
func offsetOf(it *session.Item) string {
	if it.Head == noOffset {
		return ""
	}
	return strconv.FormatUint(it.Head, 10)
}

// withoutOffset is the item as one part of several.
func withoutOffset(it session.Item) *session.Item {
	it.Head = noOffset
	return &it
}
