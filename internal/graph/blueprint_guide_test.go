package graph

import (
	"os"
	"regexp"
	"testing"
)

// The guide's example is a blueprint, as printed, and its table names every
// property type.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/BLUEPRINTS.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$").FindAllSubmatch(guide, -1)
	if len(blocks) != 1 {
		t.Fatalf("%d yaml blocks", len(blocks))
	}
	bp, err := ParseBlueprint("BLUEPRINTS.md", blocks[0][1])
	if err != nil {
		t.Fatal(Problems(err))
	}
	if bp.RootType().ID != "issue" || len(bp.NodeTypes()) != 3 || !bp.LinkType("needs").Acyclic || !bp.LinkType("related").Unique {
		t.Errorf("%s", outlineOf(bp))
	}
	for _, typ := range PropertyTypes() {
		if !regexp.MustCompile("(?m)^\\| `" + string(typ) + "` \\|").Match(guide) {
			t.Errorf("the guide does not explain %s", typ)
		}
	}
}
