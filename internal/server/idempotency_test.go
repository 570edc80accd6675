package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// SPEC R-24: a request sent again under the same key runs once and gets the
// first answer; the same key for something else is a conflict.
func TestIdempotencyKey(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	const uuid = "8E03978E-40D5-43DD-BC93-6894A57F9324"
	session := fmt.Sprintf(`"session_id":%q`, m.session)
	execute := func(n int) string {
		return fmt.Sprintf(`{%s,"command_type":"CreateNode","data":{"blueprint_type_id":"item","name":"%d"}}`, session, n)
	}
	step := "/api/v1/sessions/" + m.session
	project := "/api/v1/projects/" + m.project
	r.create(m, m.root, "to undo")
	r.create(m, m.root, "to undo")
	r.create(m, m.root, "to undo")
	for i, tc := range []struct{ name, path, body, key string }{
		{"undo", step + "/undo", "", "undo 1"},
		{"undo with a body", step + "/undo", `{"scope":"session"}`, "undo 2"},
		{"redo", step + "/redo", "", "redo 1"},
		{"execute", "/api/v1/commands/execute", execute(1), "any text: ü"},
		{"execute, one character", "/api/v1/commands/execute", execute(2), "1"},
		{"execute, the longest", "/api/v1/commands/execute", execute(3), strings.Repeat("ü", 255)},
		{"execute, a UUID", "/api/v1/commands/execute", execute(4), uuid},
		{"create", "/api/v1/projects", fmt.Sprintf(`{%s,"template_id":"outline","project_name":"Two"}`, session), "project"},
		{"save", project + "/save", fmt.Sprintf(`{%s}`, session), "save"},
		{"load", project + "/load", fmt.Sprintf(`{%s,"force":true}`, session), "load"},
	} {
		first := r.do("POST", tc.path, tc.body, "Idempotency-Key: "+tc.key)
		head := r.ok("GET", step+"/info", "")["seq"]
		again := r.do("POST", tc.path, tc.body, "Idempotency-Key: "+tc.key)
		if first.Status >= 300 || first.Status != again.Status {
			t.Errorf("%s: %v, then %v", tc.name, first, again)
			continue
		}
		if diff := cmp.Diff(first.JSON(t), again.JSON(t)); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
		if now := r.ok("GET", step+"/info", "")["seq"]; now != head {
			t.Errorf("%s: the second one moved the head from %v to %v", tc.name, head, now)
		}
		if tc.key == uuid && first.JSON(t)["command_id"] != strings.ToLower(uuid) {
			t.Errorf("a UUID is not used as it is: %v", first.Body)
		}
		other := r.do("POST", "/api/v1/commands/execute", execute(100+i), "Idempotency-Key: "+tc.key)
		if other.code() != "CONFLICT" {
			t.Errorf("%s: its key for another command: %v", tc.name, other)
		}
	}
	quoted := r.ok("POST", "/api/v1/commands/execute", execute(4), `Idempotency-Key: "`+uuid+`"`)
	if quoted["command_id"] != strings.ToLower(uuid) {
		t.Errorf("quoted: %v", quoted)
	}
	other := r.open("outline")
	elsewhere := r.ok("POST", "/api/v1/commands/execute", strings.ReplaceAll(execute(1), m.session, other.session), "Idempotency-Key: 1")
	if elsewhere["seq"] != 3.0 {
		t.Errorf("the key of another session: %v", elsewhere)
	}
}

// SPEC R-24: a key and a command_id must be one; a key has its bounds.
func TestIdempotencyKeyRefused(t *testing.T) {
	r := newRig(t)
	m := r.open("outline")
	const uuid = "8e03978e-40d5-43dd-bc93-6894a57f9324"
	with := func(id string) string {
		return fmt.Sprintf(`{"session_id":%q,"command_id":%q,"command_type":"CreateNode","data":{"blueprint_type_id":"item"}}`, m.session, id)
	}
	first := r.ok("POST", "/api/v1/commands/execute", with(strings.ToUpper(uuid)), "Idempotency-Key: "+uuid)
	made := r.ok("POST", "/api/v1/commands/execute", strings.Replace(with(""), `"command_id":"",`, "", 1), "Idempotency-Key: k")
	again := r.ok("POST", "/api/v1/commands/execute", with(made["command_id"].(string)), "Idempotency-Key: k")
	if again["seq"] != made["seq"] || made["seq"] == first["seq"] {
		t.Errorf("%v %v %v", first, made, again)
	}
	const undo = `{"command_id":"00000000-0000-4000-8000-000000000001"}`
	for name, a := range map[string]reply{
		"another id":     r.do("POST", "/api/v1/commands/execute", with("00000000-0000-4000-8000-000000000001"), "Idempotency-Key: "+uuid),
		"no id":          r.do("POST", "/api/v1/commands/execute", with("x"), "Idempotency-Key: k"),
		"too long":       r.do("POST", "/api/v1/commands/execute", with(uuid), "Idempotency-Key: "+strings.Repeat("x", 256)),
		"only quotes":    r.do("POST", "/api/v1/commands/execute", with(uuid), `Idempotency-Key: ""`),
		"not UTF-8":      r.do("POST", "/api/v1/commands/execute", with(uuid), "Idempotency-Key: \xff"),
		"undo":           r.do("POST", "/api/v1/sessions/"+m.session+"/undo", undo, "Idempotency-Key: k"),
		"save":           r.do("POST", "/api/v1/projects/"+m.project+"/save", undo, "Idempotency-Key: k", "X-Session-ID: "+m.session),
		"create":         r.do("POST", "/api/v1/projects", `{"template_id":"outline","project_name":"x",`+undo[1:], "Idempotency-Key: k", "X-Session-ID: "+m.session),
		"create, no key": r.do("POST", "/api/v1/projects", `{"template_id":"outline","project_name":"x"}`, "Idempotency-Key: "+strings.Repeat("x", 256)),
	} {
		if a.code() != "INVALID_REQUEST" {
			t.Errorf("%s: %v", name, a)
		}
	}
}

// SPEC: a project without a session is made once under one key, also
// by requests at the same time; a refusal leaves nothing behind.
func TestIdempotentProject(t *testing.T) {
	r := newRig(t)
	const key = "Idempotency-Key: a key of mine"
	if got := r.do("POST", "/api/v1/projects", `{"template_id":"nope","project_name":"P"}`, key); got.code() != "TEMPLATE_NOT_FOUND" {
		t.Fatalf("%v", got)
	}
	if list := r.ok("GET", "/api/v1/sessions", "")["sessions"].([]any); len(list) != 0 {
		t.Errorf("left behind: %v", list)
	}
	var wg sync.WaitGroup
	var all [8]reply
	for i := range all {
		wg.Go(func() { all[i] = r.do("POST", "/api/v1/projects", `{"template_id":"outline","project_name":"P"}`, key) })
	}
	wg.Wait()
	for _, a := range all {
		if a.Status != 201 || a.Body != all[0].Body {
			t.Errorf("%v", a)
		}
	}
	if got := r.do("POST", "/api/v1/projects", `{"template_id":"outline","project_name":"Q"}`, key); got.code() != "CONFLICT" {
		t.Errorf("another project under the key: %v", got)
	}
	const id = `"command_id":"8e03978e-40d5-43dd-bc93-6894a57f9324"`
	one := r.ok("POST", "/api/v1/projects", `{"template_id":"outline","project_name":"P",`+id+`}`)
	two := r.ok("POST", "/api/v1/projects", `{"template_id":"outline","project_name":"P",`+id+`}`)
	if diff := cmp.Diff(one, two); diff != "" {
		t.Errorf("by command_id: %s", diff)
	}
	if list := r.ok("GET", "/api/v1/sessions", "")["sessions"].([]any); len(list) != 2 || one["session_id"] == all[0].JSON(t)["session_id"] {
		t.Errorf("sessions: %v", list)
	}
}
