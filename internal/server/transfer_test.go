package server

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const api1 = "/api/v1"

// exportRoom makes a project with a changed live copy and a saved revision.
func exportRoom(t *testing.T, r *rig) (session, project string) {
	t.Helper()
	made := r.do("POST", api1+"/projects", `{"template_id":"outline","project_name":"P"}`)
	if made.Status != http.StatusCreated {
		t.Fatalf("%d %s", made.Status, made.Body)
	}
	session, _ = made.JSON(t)["session_id"].(string)
	project, _ = made.JSON(t)["project_id"].(string)
	if a := r.do("POST", api1+"/projects/"+project+"/save", `{"session_id":"`+session+`"}`); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := r.do("POST", api1+"/commands/execute", `{"session_id":"`+session+`","command_type":"CreateNode","data":{"blueprint_type_id":"item","name":"live"}}`); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	return session, project
}

// SPEC D-1, D-2, D-5: export of both copies, and import back.
func TestExportImport(t *testing.T) {
	r := newRig(t)
	session, project := exportRoom(t, r)
	saved := r.do("GET", api1+"/projects/"+project+"/export", "")
	live := r.do("GET", api1+"/projects/"+project+"/export?session_id="+session, "")
	if saved.Status != http.StatusOK || live.Status != http.StatusOK || strings.Contains(saved.Body, `"live"`) || !strings.Contains(live.Body, `"live"`) {
		t.Fatalf("saved %d %s\nlive %d %s", saved.Status, saved.Body, live.Status, live.Body)
	}
	if live.Header.Get("Content-Type") != "application/json" || !strings.Contains(live.Header.Get("Content-Disposition"), project) {
		t.Errorf("headers %v", live.Header)
	}
	other := newRig(t)
	if a := other.do("POST", api1+"/projects/import", live.Body); a.Status != http.StatusCreated || a.JSON(t)["revision"] != 1.0 {
		t.Fatalf("import: %d %s", a.Status, a.Body)
	}
	if again := other.do("GET", api1+"/projects/"+project+"/export", ""); again.Body != live.Body {
		t.Errorf("exported again:\n%s\nwas\n%s", again.Body, live.Body)
	}
	for _, c := range []struct {
		query  string
		status int
		code   string
	}{
		{"", http.StatusConflict, "CONFLICT"},
		{"?revision=1", http.StatusBadRequest, "INVALID_REQUEST"},
		{"?replace=true&revision=9", http.StatusConflict, "CONFLICT"},
		{"?replace=true&revision=1", http.StatusOK, ""},
		{"?replace=true", http.StatusOK, ""},
		{"?replace=perhaps", http.StatusBadRequest, "INVALID_REQUEST"},
	} {
		if a := other.do("POST", api1+"/projects/import"+c.query, saved.Body); a.Status != c.status || a.code() != c.code {
			t.Errorf("%s: %d %s", c.query, a.Status, a.Body)
		}
	}
	if a := other.do("POST", api1+"/projects", `{"template_id":"outline","project_name":"Q"}`); a.Status != http.StatusCreated {
		t.Fatal(a.Body)
	} else if b := other.do("POST", api1+"/projects/"+project+"/load", `{"session_id":"`+a.JSON(t)["session_id"].(string)+`"}`); b.Status != http.StatusOK {
		t.Errorf("load what was imported: %d %s", b.Status, b.Body)
	}
}

// SPEC D-3, D-4: an import is refused whole.
func TestImportRefusals(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxBody, c.MaxImport = 300, 4000 })
	session, project := exportRoom(t, r)
	file := r.do("GET", api1+"/projects/"+project+"/export?session_id="+session, "").Body
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no body":          {"", http.StatusBadRequest, "INVALID_REQUEST"},
		"not json":         {"{", http.StatusBadRequest, "INVALID_REQUEST"},
		"over the limit":   {file + strings.Repeat(" ", 4000), http.StatusRequestEntityTooLarge, "TOO_LARGE"},
		"unknown template": {strings.ReplaceAll(file, "outline", "nowhere"), http.StatusNotFound, "TEMPLATE_NOT_FOUND"},
		"faults":           {strings.ReplaceAll(file, `"item"`, `"thing"`), http.StatusBadRequest, "INVALID_REQUEST"},
	} {
		a := r.do("POST", api1+"/projects/import?replace=true", c.body)
		if a.Status != c.status || a.code() != c.code {
			t.Errorf("%s: %d %s", name, a.Status, a.Body)
		}
		if name == "faults" && !strings.Contains(a.Body, `"graph.roots[1].blueprint_type_id"`) {
			t.Errorf("the second fault has no place: %s", a.Body)
		}
	}
	if a := r.do("GET", api1+"/projects/"+project, ""); a.JSON(t)["revision"] != 1.0 {
		t.Errorf("a refused import changed something: %s", a.Body)
	}
	if a := r.do("POST", api1+"/projects/import?replace=true", file); a.Status != http.StatusOK {
		t.Errorf("a project file is larger than other bodies may be: %d %s", a.Status, a.Body)
	}
	for _, path := range []string{"/projects/nowhere/export", "/projects/nowhere/export?session_id=" + session} {
		if a := r.do("GET", api1+path, ""); a.code() != "PROJECT_NOT_FOUND" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
}

// SPEC D-1: what is exported is what OpenAPI says it is.
func TestExportFitsItsSchema(t *testing.T) {
	r := newRig(t)
	session, project := exportRoom(t, r)
	file := r.do("GET", api1+"/projects/"+project+"/export?session_id="+session, "").Body
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(r.do("GET", "/openapi.json", "").Body))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(jsonschema.SchemeURLLoader{}) // refuses every URL
	if err := compiler.AddResource("mem:///openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("mem:///openapi.json#/components/schemas/ProjectFile")
	if err != nil {
		t.Fatal(err)
	}
	for body, fits := range map[string]bool{file: true, strings.Replace(file, `"version":1`, `"version":2`, 1): false} {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); (err == nil) != fits {
			t.Errorf("%s: %v", body, err)
		}
	}
	if !json.Valid([]byte(file)) {
		t.Error("not JSON")
	}
}

// SPEC D-4: no more than two imports at once, from their first byte on.
func TestImportsAtOnce(t *testing.T) {
	r := newRig(t)
	var open []*io.PipeWriter
	answers := make(chan int, importsAtOnce)
	for range importsAtOnce {
		body, in := io.Pipe()
		open = append(open, in)
		go func() {
			resp, err := http.Post(r.http.URL+api1+"/projects/import", "application/json", body)
			if err != nil {
				answers <- 0
				return
			}
			_ = resp.Body.Close()
			answers <- resp.StatusCode
		}()
	}
	for _, in := range open {
		if _, err := in.Write([]byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	for len(r.srv.imports) < importsAtOnce {
		runtime.Gosched()
	}
	if a := r.do("POST", api1+"/projects/import", "{}"); a.Status != http.StatusTooManyRequests || a.code() != "RATE_LIMITED" || a.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	for _, in := range open {
		_ = in.Close()
	}
	for range importsAtOnce {
		if status := <-answers; status != http.StatusBadRequest {
			t.Errorf("half a file: %d", status)
		}
	}
	if a := r.do("POST", api1+"/projects/import", "{}"); a.Status != http.StatusBadRequest {
		t.Errorf("afterwards: %d %s", a.Status, a.Body)
	}
}
