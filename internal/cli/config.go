package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

const maxConfigFile = 1 << 20

// configFile resolves serve's flags from the YAML file named by --config (or
// GRAPHROOM_CONFIG): one flat mapping of flag names to values. It gives way to
// flags and to the environment, and refuses a key that is no flag. It belongs
// to one parser.
type configFile struct {
	loaded bool
	values map[string]any
}

// Validate implements kong.Resolver; the keys are checked at the first Resolve,
// when the file is known.
func (c *configFile) Validate(*kong.Application) error { return nil }

// Resolve implements kong.Resolver. nil leaves the flag as it is.
func (c *configFile) Resolve(ctx *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	if parent.Command == nil || parent.Command.Name != "serve" || flag.Name == "config" || flag.Name == "help" {
		return nil, nil
	}
	if err := c.load(ctx, parent.Command); err != nil {
		return nil, err
	}
	value, ok := c.values[flag.Name]
	if !ok {
		return nil, nil
	}
	for _, env := range flag.Envs {
		if _, set := os.LookupEnv(env); set {
			return nil, nil
		}
	}
	return value, nil
}

// load reads the file once.
func (c *configFile) load(ctx *kong.Context, serve *kong.Node) error {
	if c.loaded {
		return nil
	}
	c.loaded = true
	known := map[string]bool{}
	var file string
	for _, f := range serve.Flags {
		if f.Name == "help" {
			continue
		}
		if f.Name != "config" {
			known[f.Name] = true
			continue
		}
		if v, ok := ctx.FlagValue(f).(string); ok {
			file = v
		}
		if file == "" && len(f.Envs) > 0 {
			file = os.Getenv(f.Envs[0])
		}
	}
	if file == "" {
		return nil
	}
	values, err := readConfig(file, known)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	c.values = values
	return nil
}

// readConfig reads a bounded, flat YAML mapping whose keys are all known.
func readConfig(file string, known map[string]bool) (map[string]any, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, errors.Unwrap(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxConfigFile {
		return nil, fmt.Errorf("larger than %d bytes", maxConfigFile)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if doc.Kind == 0 || (len(doc.Content) == 1 && doc.Content[0].Tag == "!!null") {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: expected a mapping of option names to values", root.Line)
	}
	values := map[string]any{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if !known[key.Value] {
			return nil, fmt.Errorf("line %d: unknown option %q; known are %s", key.Line, key.Value, names(known))
		}
		if _, twice := values[key.Value]; twice {
			return nil, fmt.Errorf("line %d: option %q stands twice", key.Line, key.Value)
		}
		v, err := scalarOrList(value)
		if err != nil {
			return nil, fmt.Errorf("line %d: option %q: %w", value.Line, key.Value, err)
		}
		values[key.Value] = v
	}
	return values, nil
}

// scalarOrList gives the text of a scalar, so that kong parses it as it parses
// a flag, or of a list of scalars joined by commas.
func scalarOrList(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, nil
	case yaml.SequenceNode:
		items := make([]string, 0, len(n.Content))
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, errors.New("a list of plain values is expected")
			}
			items = append(items, item.Value)
		}
		return strings.Join(items, ","), nil
	default:
		return nil, errors.New("a plain value or a list of them is expected")
	}
}

func names(set map[string]bool) string {
	list := make([]string, 0, len(set))
	for name := range set {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}
