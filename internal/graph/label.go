package graph

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Label is a short text for people that says what the command does: "Create
// task", "Set start date". It is made of the command alone and at most
// MaxToken characters and a few words long.
func Label(cmd Command) string {
	switch c := cmd.(type) {
	case CreateNode:
		return "Create " + lowerWords(c.BlueprintTypeID)
	case DeleteNode:
		return "Delete node"
	case LinkNode:
		if c.LinkType != ChildLink {
			return "Link as " + lowerWords(c.LinkType)
		}
		if c.Move {
			return "Move node"
		}
		return "Link node"
	case UnlinkNode:
		if c.LinkType != ChildLink {
			return "Unlink as " + lowerWords(c.LinkType)
		}
		return "Unlink node"
	case MoveNode:
		return "Move node"
	case UpdateProperty:
		return setLabel(c.PropertyID)
	case DeleteProperty:
		return "Clear " + lowerWords(c.PropertyID)
	case SetProperties:
		if len(c.Properties) == 1 {
			return setLabel(c.Properties[0].ID)
		}
		return "Set " + strconv.Itoa(len(c.Properties)) + " properties"
	case DuplicateNode:
		return "Duplicate node"
	case Batch:
		return batchLabel(c)
	default:
		return cmd.Type()
	}
}

func setLabel(propertyID string) string {
	if propertyID == NameProperty {
		return "Rename node"
	}
	return "Set " + lowerWords(propertyID)
}

// batchLabel is the client's own, else what its commands have in common.
func batchLabel(b Batch) string {
	if b.Label != "" {
		return b.Label
	}
	if len(b.Commands) == 1 {
		return Label(b.Commands[0])
	}
	label := strconv.Itoa(len(b.Commands)) + " commands"
	for i, c := range b.Commands {
		if i > 0 && Label(c) != Label(b.Commands[0]) {
			return label
		}
	}
	return Label(b.Commands[0]) + " (" + label + ")"
}

// words turns an id into words: "start_date" is "start date".
func words(id string) string {
	return strings.Join(strings.FieldsFunc(id, func(c rune) bool {
		return c == '_' || c == '-' || c == '.' || unicode.IsSpace(c)
	}), " ")
}

func lowerWords(id string) string { return strings.ToLower(words(id)) }

// titleWords is words with a capital at the beginning: the label of what has
// no label.
func titleWords(id string) string {
	s := words(id)
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return id
	}
	return string(unicode.ToUpper(c)) + s[n:]
}
