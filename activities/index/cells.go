package index

import (
	"context"
	"fmt"
	"strings"

	"github.com/rebased/rebased"
)

const (
	// maxValues is how many numbers the vectors of one point may have together: Qdrant takes fewer than 1,048,576.
	maxValues = 1<<20 - 1
	// encodeStep is how many texts go to the encoder between two reports of progress.
	encodeStep = 1024
)

// maxVectors is how many cells of a row can have a vector; the first ones do.
func maxVectors(dimensions int) int { return maxValues / dimensions }

// points encodes rows. Cells without a token get no vector: a zero vector would beat every cell that is
// merely unlike the query.
func (x *Indexer) points(ctx context.Context, rows []rebased.Row, tick func()) ([]Point, error) {
	texts, place := distinct(rows)
	vectors, err := x.known(ctx, texts, tick)
	if err != nil {
		return nil, err
	}
	most := maxVectors(x.encoder.Dimensions())
	points := make([]Point, len(rows))
	for i, row := range rows {
		p := Point{ID: row.ID, Dataset: row.Dataset}
		for c, cell := range row.Cells {
			at, ok := place[cell.Text]
			if !ok || zero(vectors[at]) || len(p.Vectors) == most {
				continue
			}
			p.Cells = append(p.Cells, c)
			p.Hashes = append(p.Hashes, rebased.TextHash(cell.Text))
			p.Letters = append(p.Letters, rebased.TextLetters(cell.Text))
			p.Vectors = append(p.Vectors, vectors[at])
		}
		points[i] = p
	}
	return points, nil
}

// distinct lists the texts of rows, each once: cells such as "True" stand in a part by the thousand.
func distinct(rows []rebased.Row) (texts []string, place map[string]int) {
	place = make(map[string]int)
	for _, row := range rows {
		for _, cell := range row.Cells {
			text := cell.Text
			if _, known := place[text]; known || strings.TrimSpace(text) == "" {
				continue
			}
			place[text] = len(texts)
			texts = append(texts, text)
		}
	}
	return texts, place
}

// encode gives a vector for each text, calling tick between steps, and checks what the encoder gave.
func (x *Indexer) encode(ctx context.Context, texts []string, tick func()) ([][]float32, error) {
	vectors := make([][]float32, 0, len(texts))
	for len(vectors) < len(texts) {
		step := texts[len(vectors):min(len(texts), len(vectors)+encodeStep)]
		encoded, err := x.encoder.Encode(ctx, step)
		if err != nil {
			return nil, err
		}
		if len(encoded) != len(step) {
			return nil, fmt.Errorf("encoder %s gave %d vectors for %d texts", x.encoder.Identity(), len(encoded), len(step))
		}
		for _, v := range encoded {
			if len(v) != x.encoder.Dimensions() {
				return nil, fmt.Errorf("encoder %s gave a vector of %d dimensions, not %d", x.encoder.Identity(), len(v), x.encoder.Dimensions())
			}
		}
		vectors = append(vectors, encoded...)
		tick()
	}
	return vectors, nil
}

func zero(v []float32) bool {
	for _, x := range v {
		if x != 0 {
			return false
		}
	}
	return true
}
