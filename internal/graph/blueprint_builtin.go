package graph

import (
	"embed"
	"path"
)

//go:embed blueprints/*.yaml
var builtinFiles embed.FS

// Builtin parses the blueprints that every server has: restomod, pipeline and
// outline, in that order. An error means a broken build.
func Builtin() ([]*Blueprint, error) {
	var all []*Blueprint
	for _, id := range []string{"restomod", "pipeline", "outline"} {
		file := path.Join("blueprints", id+".yaml")
		data, err := builtinFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		bp, err := ParseBlueprint(file, data)
		if err != nil {
			return nil, err
		}
		all = append(all, bp)
	}
	return all, nil
}
