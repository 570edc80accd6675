package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	ruleLine = regexp.MustCompile(`(?m)^- ([A-Z]-\d+) `)
	cited    = regexp.MustCompile(`SPEC ((?:[A-Z]-\d+)(?:, (?:and )?[A-Z]-\d+)*)`)
	ruleID   = regexp.MustCompile(`[A-Z]-\d+`)
)

// No rule stands twice, and every rule that the code or a test cites exists.
func TestCitedRulesExist(t *testing.T) {
	spec, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]bool{}
	for _, m := range ruleLine.FindAllSubmatch(spec, -1) {
		if rules[string(m[1])] {
			t.Errorf("SPEC.md has %s twice", m[1])
		}
		rules[string(m[1])] = true
	}
	if len(rules) < 100 {
		t.Fatalf("only %d rules found", len(rules))
	}
	err = filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".."):
			return fs.SkipDir
		case !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".md"):
			return nil
		}
		data, err := os.ReadFile(path)
		for _, m := range cited.FindAllSubmatch(data, -1) {
			for _, id := range ruleID.FindAllString(string(m[1]), -1) {
				if !rules[id] {
					t.Errorf("%s cites %s, which SPEC.md does not have", path, id)
				}
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
