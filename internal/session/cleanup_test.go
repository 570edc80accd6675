package session

import (
	"testing"

	"github.com/graphroom/graphroom/internal/fault"
)

// SPEC R-8: only a session in which nothing happened and nobody is counts as empty.
func TestDeleteEmpty(t *testing.T) {
	r := newRig(t, nil)
	s := r.session("used")
	_, depart, err := s.Join(t.Context(), Client{Key: "a", ID: "ann"}, JoinOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if deleted, err := r.m.DeleteEmpty(t.Context(), "used"); deleted || err != nil {
		t.Errorf("with a client: %v, %v", deleted, err)
	}
	depart("gone")
	if deleted, err := r.m.DeleteEmpty(t.Context(), "used"); !deleted || err != nil {
		t.Errorf("empty: %v, %v", deleted, err)
	}
	_, err = r.m.DeleteEmpty(t.Context(), "used")
	wantCode(t, err, fault.InvalidSession)
	room := newRoom(t, nil)
	if deleted, err := room.m.DeleteEmpty(t.Context(), room.s.ID()); deleted || err != nil {
		t.Errorf("with a project: %v, %v", deleted, err)
	}
}
