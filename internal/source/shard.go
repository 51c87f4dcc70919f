package source

// Len returns the number of shards.
func (m *Manifest) Len() int { return len(m.shards) }

// Shard returns the files of shard k, by part.
func (m *Manifest) Shard(k int) map[Part]string { return m.shards[k].files }

// Entries returns how many entries of the first axis shard k has, and how many
// the shards before it; -1 where the manifest does not say.
func (m *Manifest) Entries(k int) (first, rows int) {
	for _, s := range m.shards[:k] {
		if s.rows < 0 {
			return -1, m.shards[k].rows
		}
		first += s.rows
	}
	return first, m.shards[k].rows
}
