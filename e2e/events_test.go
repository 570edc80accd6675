package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// crowd is one official client per transport and namespace, in one session.
type crowd []*official

// newCrowd opens its clients in a script and waits until all have joined.
func newCrowd(t *testing.T, s *script, url, session string) crowd {
	t.Helper()
	transports := map[string][]string{"default": nil, "polling": {"polling"}, "websocket": {"websocket"}}
	var all crowd
	for _, way := range slices.Sorted(maps.Keys(transports)) {
		for _, namespace := range []string{"/", "/graph"} {
			name := strings.Join([]string{session, way, namespace}, " ")
			all = append(all, s.open(t, name, url, namespace, transports[way], object{"session_id": session}))
		}
	}
	for _, c := range all {
		c.awaitJoined(t, 1)
	}
	return all
}

// fields are the further fields of each event, after DESIGN section 4. Every
// payload also has session_id and timestamp.
func fields() map[string]string {
	const command, graph = "project_id command_id actor ", "project_id command_id actor seq "
	return map[string]string{
		"graph:node-created":     graph + "node_id name blueprint_type_id parent_id position properties",
		"graph:node-deleted":     graph + "node_id parent_id",
		"graph:node-linked":      graph + "parent_id child_id link_type position",
		"graph:node-unlinked":    graph + "parent_id child_id link_type", // and position, when it became a root
		"graph:property-changed": graph + "node_id property_id old_value new_value",
		"graph:property-deleted": graph + "node_id property_id old_value",
		"command:executing":      command + "head_seq command_type",
		"command:executed":       graph + "command_type result",
		"command:failed":         command + "head_seq command_type error",
		"command:undo":           graph + "request_id command_type applied skipped",
		"command:redo":           graph + "request_id command_type applied skipped",
		"session:connected":      "head_seq client_id client_count user epoch recovered",
		"session:disconnected":   "head_seq client_id client_count user reason",
		"project:saved":          "project_id actor seq revision name",
		"project:loaded":         "project_id actor seq template_id name revision graph",
	}
}

var timestamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// checkFields compares an event's payload with the catalogue.
func checkFields(t *testing.T, l line) {
	t.Helper()
	body := payload(l)
	want := append(strings.Fields(fields()[l.Name]), "session_id", "timestamp")
	optional := map[string]bool{"position": l.Name == "graph:node-unlinked", "command_id": strings.HasPrefix(l.Name, "project:")}
	got := slices.DeleteFunc(slices.Collect(maps.Keys(body)), func(key string) bool { return optional[key] })
	sort.Strings(got)
	sort.Strings(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields of %s (-want +got):\n%s\n%s", l.Name, diff, jsonText(body))
	}
	if stamp, _ := body["timestamp"].(string); !timestamp.MatchString(stamp) {
		t.Errorf("timestamp of %s: %v", l.Name, body["timestamp"])
	}
}

// causeAll does over REST what causes every event that a client can cause
// without a socket, and returns the names of the events in their order.
func causeAll(t *testing.T, r room) []string {
	t.Helper()
	var names []string
	does := func(command string, data object, events ...string) object {
		t.Helper()
		names = append(names, "command:executing")
		for _, e := range events {
			names = append(names, "graph:"+e)
		}
		names = append(names, "command:executed")
		return r.execute(t, command, data)
	}
	made := func(receipt object) string { return receipt["result"].(object)["node_id"].(string) }
	phase := made(does("CreateNode", object{"blueprint_type_id": "phase", "parent_id": r.root, "name": "Strip"}, "node-created"))
	job := made(does("CreateNode", object{"blueprint_type_id": "job", "parent_id": phase, "properties": object{"priority": "High"}}, "node-created"))
	other := made(does("CreateNode", object{"blueprint_type_id": "job", "parent_id": phase}, "node-created"))
	does("UpdateProperty", object{"node_id": phase, "property_id": "name", "value": "Tear down"}, "property-changed")
	does("UpdateProperty", object{"node_id": job, "property_id": "description", "value": "<b>Ünïcode</b> \u2028 & \x1e"}, "property-changed")
	does("DeleteProperty", object{"node_id": job, "property_id": "description"}, "property-deleted")
	does("LinkNode", object{"parent_id": job, "child_id": other, "link_type": "blocks"}, "node-linked")
	does("UnlinkNode", object{"parent_id": job, "child_id": other, "link_type": "blocks"}, "node-unlinked")
	does("UnlinkNode", object{"parent_id": phase, "child_id": other}, "node-unlinked")
	does("LinkNode", object{"parent_id": phase, "child_id": other}, "node-linked")
	does("MoveNode", object{"node_id": other, "parent_id": phase, "index": 0}, "node-linked")
	does("UpdateProperty", object{"node_id": phase, "property_id": "name", "value": "Tear down"}) // nothing to change
	does("DeleteNode", object{"node_id": phase}, "node-deleted", "node-deleted", "node-deleted")
	r.want(t, http.StatusOK, "POST", "/sessions/"+r.session+"/undo", nil)
	names = append(names, "graph:node-created", "graph:node-created", "graph:node-created", "command:undo")
	r.want(t, http.StatusOK, "POST", "/sessions/"+r.session+"/redo", nil)
	names = append(names, "graph:node-deleted", "graph:node-deleted", "graph:node-deleted", "command:redo")
	r.want(t, http.StatusNotFound, "POST", "/commands/execute", object{"session_id": r.session, "command_type": "DeleteNode", "data": object{"node_id": phase}})
	names = append(names, "command:executing", "command:failed")
	r.want(t, http.StatusOK, "POST", "/projects/"+r.project+"/save", object{"session_id": r.session})
	names = append(names, "project:saved")
	r.want(t, http.StatusOK, "POST", "/projects/"+r.project+"/load", object{"session_id": r.session})
	return append(names, "project:loaded")
}

func TestEveryEventReachesEveryClientOfTheSessionAndNoOther(t *testing.T) {
	for _, file := range []string{"client.mjs", "client.py"} {
		t.Run(file, func(t *testing.T) {
			s := startScript(t, file)
			here, there := "here-"+file[7:], "there-"+file[7:]
			inside, outside := newCrowd(t, s, shared.live.url, here), newCrowd(t, s, shared.live.url, there)
			r := newRoom(t, shared.live, here, "restomod")
			names := append([]string{"project:loaded"}, causeAll(t, r)...)
			guest := s.open(t, "guest", shared.live.url, "/graph", nil, object{"session_id": here})
			sid := guest.awaitJoined(t, 1)
			guest.do(t, "close")
			names = append(names, "session:connected", "session:disconnected")
			neighbour := newRoom(t, shared.live, there, "outline")
			for _, c := range inside {
				c.awaitEvent(t, "session:disconnected", "client_id", sid)
				checkCrowdMember(t, c, here, len(inside), names)
			}
			checkSame(t, inside)
			for _, c := range outside {
				c.awaitEvent(t, "project:loaded", "project_id", neighbour.project)
				checkCrowdMember(t, c, there, len(outside), []string{"project:loaded"})
			}
		})
	}
}

// checkCrowdMember compares what a client of the session has received with
// what it must have: the joins of its own crowd, then the events of the names.
func checkCrowdMember(t *testing.T, c *official, session string, members int, names []string) {
	t.Helper()
	want := len(names)
	c.await(t, fmt.Sprintf("%d events after the joins", want), want, func(l line) bool { return l.Type == "event" && !ofCrowd(l, members) })
	var got []string
	last := uint64(0)
	for _, l := range c.events() {
		checkFields(t, l)
		if at := field(l, "session_id"); at != session {
			t.Errorf("%s got %s of session %v", c.name, l.Name, at)
		}
		if !ofCrowd(l, members) {
			got = append(got, l.Name)
		}
		if seq, ok := field(l, "seq").(float64); ok && c.script.ordered {
			if uint64(seq) <= last {
				t.Errorf("%s: seq %v after %d", c.name, seq, last)
			}
			last = uint64(seq)
		}
	}
	if !c.script.ordered {
		names = slices.Sorted(slices.Values(names))
		sort.Strings(got)
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Errorf("%s got these events (-want +got):\n%s", c.name, diff)
	}
}

// ofCrowd says whether the event tells of a join of the crowd itself.
func ofCrowd(l line, members int) bool {
	n, _ := field(l, "client_count").(float64)
	return l.Name == "session:connected" && int(n) <= members
}

// checkSame demands that all clients got the very same payloads.
func checkSame(t *testing.T, all crowd) {
	t.Helper()
	texts := func(c *official) []string {
		var out []string
		for _, l := range c.events() {
			if !ofCrowd(l, len(all)) && field(l, "recovered") == nil {
				out = append(out, l.Name+" "+jsonText(payload(l)))
			}
		}
		sort.Strings(out)
		return out
	}
	first := texts(all[0])
	for _, c := range all[1:] {
		if diff := cmp.Diff(first, texts(c)); diff != "" {
			t.Errorf("%s and %s differ (-first +second):\n%s", all[0].name, c.name, diff)
		}
	}
}

func TestClientsThatComeBackAreInTheRoomAgain(t *testing.T) {
	for _, file := range []string{"client.mjs", "client.py"} {
		t.Run(file, func(t *testing.T) {
			s := startScript(t, file)
			session := "back-" + file[7:]
			all := newCrowd(t, s, shared.live.url, session)
			r := newRoom(t, shared.live, session, "outline")
			ways := []string{"close"}
			if s.ordered {
				ways = append(ways, "drop")
			}
			for joins, way := range ways {
				for _, c := range all {
					before := c.awaitJoined(t, joins+1)
					c.do(t, way)
					c.await(t, "disconnect", joins+1, func(l line) bool { return l.Type == "disconnect" })
					for _, other := range all {
						if other != c {
							other.awaitEvent(t, "session:disconnected", "client_id", before)
						}
					}
					if way == "close" {
						c.do(t, "reopen")
					}
					c.awaitJoined(t, joins+2)
				}
				node := r.create(t, object{"blueprint_type_id": "item", "parent_id": r.root})
				for _, c := range all {
					c.awaitEvent(t, "graph:node-created", "node_id", node)
				}
			}
			info := r.want(t, http.StatusOK, "GET", "/sessions/"+session+"/info", nil)
			if info["client_count"] != float64(len(all)) {
				t.Errorf("client_count = %v, want %d", info["client_count"], len(all))
			}
		})
	}
}

func TestCommandsOverTheSocket(t *testing.T) {
	for _, file := range []string{"client.mjs", "client.py"} {
		t.Run(file, func(t *testing.T) {
			s := startScript(t, file)
			session := "socket-" + file[7:]
			all := newCrowd(t, s, shared.live.url, session)
			r := newRoom(t, shared.live, session, "outline")
			empty := r.graph(t)
			for i, c := range all {
				answer := payload(line{Args: c.call(t, "command:execute", object{"command_type": "CreateNode", "data": object{"blueprint_type_id": "item", "parent_id": r.root}}, 3*i)})
				if answer["ok"] != true || answer["seq"] == nil || answer["command_id"] == nil {
					t.Fatalf("%s: command:execute answered %v", c.name, answer)
				}
				for _, other := range all {
					other.awaitEvent(t, "command:executed", "command_id", answer["command_id"])
				}
				undone := payload(line{Args: c.call(t, "command:undo", object{}, 3*i+1)})
				if undone["ok"] != true || r.graph(t) != empty {
					t.Errorf("%s: command:undo answered %v", c.name, undone)
				}
				refused := payload(line{Args: c.call(t, "command:execute", object{"command_type": "Nonsense", "data": object{}}, 3*i+2)})
				if refused["ok"] != false || refused["error"].(object)["code"] != "INVALID_COMMAND" {
					t.Errorf("%s: an unknown command answered %v", c.name, refused)
				}
			}
		})
	}
}

func TestConnectIsRefusedWithItsCode(t *testing.T) {
	s := startScript(t, "client.mjs")
	p := startScript(t, "client.py")
	cases := map[string]object{"without a session": {}, "with a malformed session": {"session_id": "a b"}, "with a session that is no text": {"session_id": 7}}
	for name, auth := range cases {
		for _, script := range []*script{s, p} {
			c := script.open(t, name, shared.live.url, "/graph", nil, auth)
			l := c.await(t, "CONNECT_ERROR", 1, func(l line) bool { return l.Type == "error" })
			code := payload(line{Args: append(l.Args, l.Data)})["code"]
			if l.Message == "" || code != "INVALID_SESSION" && code != "INVALID_REQUEST" {
				t.Errorf("%s: %q, code %v", name, l.Message, code)
			}
		}
	}
}
