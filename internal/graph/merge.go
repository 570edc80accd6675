package graph

// Merge joins the changes of two entries of which nothing came between into
// those of one, for coalescing: where next sets a value that prev set, one
// change is left, from prev's before-image to next's value and writer. What
// else there is stays in order. Both lists stay as they are.
func Merge(prev, next []Change) []Change {
	merged := append(make([]Change, 0, len(prev)+len(next)), prev...)
	for _, c := range next {
		set, ok := c.body.(*setting)
		if !ok || !joinSetting(merged, set) {
			merged = append(merged, c)
		}
	}
	return merged
}

// joinSetting replaces the last change of the same value, if next follows
// directly on it.
func joinSetting(merged []Change, next *setting) bool {
	for i := len(merged) - 1; i >= 0; i-- {
		prev, ok := merged[i].body.(*setting)
		if !ok || prev.ID != next.ID || prev.Prop != next.Prop {
			continue
		}
		if prev.To.By != next.From.By {
			return false
		}
		merged[i] = Change{&setting{ID: prev.ID, Prop: prev.Prop, From: prev.From, To: next.To}}
		return true
	}
	return false
}
