package ingest

import "github.com/rebased/rebased"

// openPart holds the rows of one part in places that the rows of a later one take.
type openPart struct {
	rows  []rebased.Row
	cells []rebased.Cell // of all rows
	texts [][]byte       // blocks, filled one after another
	block int            // that is being filled
	bytes int            // of columns and texts
}

const (
	blockBytes = 256 << 10
	keptBlocks = 32 // that a part leaves to the next, 8 MiB
)

// add takes a copy of the cells as the next row.
func (p *openPart) add(id rebased.RowID, dataset rebased.DatasetID, cells []rebased.Cell) {
	size := 0
	for _, cell := range cells {
		size += len(cell.Text)
		p.bytes += len(cell.Column) + len(cell.Text)
	}
	first, room := len(p.cells), p.room(size)
	for _, cell := range cells {
		from := len(room)
		room = append(room, cell.Text...)
		p.cells = append(p.cells, rebased.Cell{Column: cell.Column, Text: view(room[from:])})
	}
	if size > 0 {
		p.texts[p.block] = room
	}
	p.rows = append(p.rows, rebased.Row{ID: id, Dataset: dataset, Cells: p.cells[first:len(p.cells):len(p.cells)]})
}

// room gives the block that takes so many bytes more without being moved.
func (p *openPart) room(size int) []byte {
	if size == 0 {
		return nil
	}
	for ; p.block < len(p.texts); p.block++ {
		if block := p.texts[p.block]; cap(block)-len(block) >= size {
			return block
		}
	}
	p.texts = append(p.texts, make([]byte, 0, max(blockBytes, size)))
	return p.texts[p.block]
}

// clear makes place for other rows.
func (p *openPart) clear() {
	clear(p.rows)
	clear(p.cells)
	p.rows, p.cells, p.block, p.bytes = p.rows[:0], p.cells[:0], 0, 0
	kept := p.texts[:0]
	for _, block := range p.texts {
		if cap(block) == blockBytes && len(kept) < keptBlocks {
			kept = append(kept, block[:0])
		}
	}
	clear(p.texts[len(kept):])
	p.texts = kept
}
