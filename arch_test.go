// Package graphroom_test holds the architecture: which package may import
// which (DESIGN section 3), and the words that are not package names.
package graphroom_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/graphroom/graphroom"

// arrows lists, for each of our packages, the packages of ours that its
// production files may import. A package that is not listed fails the test, so
// that a new one is placed on purpose. A name covers its subpackages too.
func arrows() map[string][]string {
	return map[string][]string{
		"internal/fault":    {},
		"internal/graph":    {"internal/fault"},
		"internal/journal":  {"internal/fault", "internal/journal", "internal/project"}, // the pebble driver keeps saved projects too
		"internal/project":  {"internal/fault", "internal/project", "internal/journal"},
		"internal/engineio": {},
		"internal/socketio": {"internal/engineio"},
		"internal/session":  {"internal/fault", "internal/graph", "internal/journal", "internal/project"},
		"internal/transfer": {"internal/fault", "internal/graph", "internal/project"},
		"internal/console":  {"internal/fault"},
		"internal/server": {"internal/fault", "internal/graph", "internal/session", "internal/project", "internal/transfer",
			"internal/socketio", "internal/console"},
		"internal/app": {"internal/fault", "internal/graph", "internal/journal", "internal/project", "internal/session", "internal/transfer",
			"internal/engineio", "internal/socketio", "internal/server", "internal/console"},
		"internal/cli": {"internal/app", "internal/fault", "internal/graph", "internal/session"},
		"cmd":          {"internal/cli"},
		"bench":        {"internal", "bench"},
		"soak":         {"bench/load"},
		"e2e":          {"internal"},
		"docs":         {"internal"},
		"clients":      {"internal"},
	}
}

// drivers may be imported by internal/app alone (and by their own kind).
func drivers() []string {
	return []string{"internal/journal/memory", "internal/journal/pebble", "internal/project/memory", "internal/project/pebble"}
}

type source struct {
	path    string // relative to the module, slashes
	pkg     string // directory, relative
	test    bool
	name    string
	imports []string
	lines   int
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); n != "." && (strings.HasPrefix(n, ".") || n == "node_modules" || n == "testdata") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(p), test: strings.HasSuffix(p, "_test.go"), name: file.Name.Name,
			lines: strings.Count(string(text), "\n")}
		s.pkg = path.Dir(s.path)
		for _, imp := range file.Imports {
			name, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		out = append(out, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// owner finds the entry of the table that a directory belongs to.
func owner(table map[string][]string, pkg string) (string, bool) {
	for p := pkg; p != "." && p != "/"; p = path.Dir(p) {
		if _, ok := table[p]; ok {
			return p, true
		}
	}
	return "", false
}

func within(pkg, root string) bool { return pkg == root || strings.HasPrefix(pkg, root+"/") }

// SPEC A-1: dependencies point down the list of DESIGN section 3.
func TestImportArrows(t *testing.T) {
	table := arrows()
	for _, s := range sources(t) {
		if s.pkg == "." {
			continue
		}
		own, ok := owner(table, s.pkg)
		if !ok {
			t.Errorf("%s: package %s has no place in the architecture: add it to arrows()", s.path, s.pkg)
			continue
		}
		if s.test {
			continue
		}
		for _, imp := range s.imports {
			rel, ours := strings.CutPrefix(imp, module+"/")
			if !ours || within(rel, s.pkg) || within(s.pkg, rel) {
				continue
			}
			if !slices.ContainsFunc(table[own], func(a string) bool { return within(rel, a) }) {
				t.Errorf("%s: %s must not import %s", s.path, s.pkg, rel)
			}
			if slices.ContainsFunc(drivers(), func(d string) bool { return within(rel, d) }) &&
				own != "internal/app" && own != "internal/journal" && own != "internal/project" && own != "bench" && own != "e2e" {
				t.Errorf("%s: only internal/app sees the concrete driver %s", s.path, rel)
			}
		}
	}
}

// SPEC A-2: the graph is pure: no clock, context, goroutine, random number or
// I/O. Of the packages time and net/url it may use what parses text.
func TestGraphIsPure(t *testing.T) {
	forbidden := []string{"context", "sync", "sync/atomic", "math/rand", "math/rand/v2", "crypto/rand", "os", "net", "net/http",
		"net/netip", "log", "log/slog", "io/ioutil", "runtime", "unsafe", "github.com/google/uuid"}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "Local", "LoadLocation"}
	for _, s := range sources(t) {
		if s.test || !within(s.pkg, "internal/graph") {
			continue
		}
		for _, imp := range s.imports {
			if slices.Contains(forbidden, imp) {
				t.Errorf("%s: the pure domain imports %q", s.path, imp)
			}
		}
		file, err := parser.ParseFile(token.NewFileSet(), s.path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s: the pure domain starts a goroutine", s.path)
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
					t.Errorf("%s: the pure domain reads the clock: time.%s", s.path, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// SPEC A-3: nothing in graph, journal or session knows Socket.IO or HTTP.
func TestDomainKnowsNoEdge(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || !(within(s.pkg, "internal/graph") || within(s.pkg, "internal/journal") || within(s.pkg, "internal/session")) {
			continue
		}
		for _, imp := range s.imports {
			if strings.HasPrefix(imp, "net/http") || strings.Contains(imp, "websocket") || strings.Contains(imp, "gws") {
				t.Errorf("%s: the domain imports %q", s.path, imp)
			}
		}
	}
}

// SPEC A-4: a package is named for what it owns.
func TestNoDrawerPackages(t *testing.T) {
	drawers := []string{"util", "utils", "common", "models", "model", "types", "middleware", "mocks", "mock", "handlers", "helpers", "misc", "shared", "base", "core", "lib"}
	for _, s := range sources(t) {
		for _, elem := range append(strings.Split(s.pkg, "/"), strings.TrimSuffix(s.name, "_test")) {
			if slices.Contains(drawers, elem) {
				t.Errorf("%s: %q names no subject", s.path, elem)
			}
		}
	}
}

// SPEC A-5: main only hands over to cli.
func TestMainIsSmall(t *testing.T) {
	for _, s := range sources(t) {
		if within(s.pkg, "cmd") && !s.test && s.lines >= 20 {
			t.Errorf("%s has %d lines, main stays under 20", s.path, s.lines)
		}
	}
}
