package hub

import (
	"context"
	"crypto/sha1" //nolint:gosec // git's name of a file, no secret
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rebased/rebased"
)

// maxBreaks is how often one download is taken up again.
const maxBreaks = 20

// Open reads a file of a listing at the repo's revision, which should be the commit of the listing. A body that breaks off or stalls is taken up
// where it was. At the end size and checksum must be those of the listing: what ends with io.EOF is whole, anything else ends with Unavailable.
// The reader ends with ctx.
func (h *Hub) Open(ctx context.Context, repo Repo, file File) (io.ReadCloser, error) {
	d := &download{hub: h, ctx: ctx, repo: repo, file: file, op: fmt.Sprintf("read %s of %s", file.Path, repo), sum: sha256.New(), want: file.SHA256}
	if file.SHA256 == "" {
		d.sum, d.want = sha1.New(), file.Blob //nolint:gosec // see the import
		fmt.Fprintf(d.sum, "blob %d\x00", file.Size)
	}
	if err := h.retry(ctx, d.connect); err != nil {
		return nil, err
	}
	return d, nil
}

// download is a file on its way.
type download struct {
	hub  *Hub
	ctx  context.Context //nolint:containedctx // the calls that a Read makes belong to the caller of Open
	repo Repo
	file File
	op   string
	sum  hash.Hash
	want string // hex of sum

	at     int64 // bytes read
	breaks int
	body   io.ReadCloser // nil between two requests
	stop   func()        // ends the request of body
	alive  func()        // a byte came
}

// Read implements io.Reader.
func (d *download) Read(p []byte) (int, error) {
	for {
		if d.at == d.file.Size {
			return 0, d.finish()
		}
		if d.body == nil {
			if err := d.hub.retry(d.ctx, d.connect); err != nil {
				return 0, err
			}
		}
		n, err := d.body.Read(p[:min(int64(len(p)), d.file.Size-d.at)])
		d.alive()
		d.sum.Write(p[:n])
		d.at += int64(n)
		if err != nil {
			d.drop()
			if err := d.broken(err); err != nil && d.at < d.file.Size {
				return n, err
			}
		}
		if n > 0 || len(p) == 0 {
			return n, nil
		}
	}
}

// broken counts a body that ended early; the last time it is an error.
func (d *download) broken(err error) error {
	if d.ctx.Err() != nil {
		return ended(d.ctx, err)
	}
	if d.breaks++; d.breaks > maxBreaks {
		return d.unavailable("it broke off after %d of %d bytes, for the %dth time", d.at, d.file.Size, d.breaks)
	}
	return nil
}

func (d *download) finish() error {
	d.drop()
	if got := hex.EncodeToString(d.sum.Sum(nil)); got != d.want {
		return d.unavailable("its %d bytes are not those of the listing, by their checksum", d.at)
	}
	return io.EOF
}

var errStalled = errors.New("the hub did not answer in time")

// connect asks for what is missing.
func (d *download) connect() error {
	ctx, cancel := context.WithCancelCause(d.ctx)
	timer := time.AfterFunc(d.hub.stall, func() { cancel(errStalled) })
	d.alive = func() { timer.Reset(d.hub.stall) }
	d.stop = func() { timer.Stop(); cancel(nil) }
	header := http.Header{"Accept-Encoding": {"identity"}}
	if d.at > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", d.at))
	}
	response, err := d.hub.get(ctx, d.repo, d.op, d.hub.resolve(d.repo, d.file.Path), header) //nolint:bodyclose // drop closes it
	if err != nil {
		d.stop()
		if errors.Is(context.Cause(ctx), errStalled) {
			return d.unavailable("%w", errStalled)
		}
		return err
	}
	d.body = response.Body
	if err := d.goOn(response); err != nil {
		d.drop()
		return err
	}
	return nil
}

// goOn makes sure that the answer begins where it should. A server may send the whole file when it is asked for a part.
func (d *download) goOn(response *http.Response) error {
	if response.StatusCode == http.StatusPartialContent {
		if said := response.Header.Get("Content-Range"); !strings.HasPrefix(said, fmt.Sprintf("bytes %d-", d.at)) {
			return d.unavailable("the answer is another part of the file: Content-Range is %q", said)
		}
		return nil
	}
	if size := response.ContentLength; size >= 0 && size != d.file.Size {
		return d.unavailable("it has %d bytes where the listing says %d", size, d.file.Size)
	}
	for left := d.at; left > 0; {
		n, err := io.CopyN(io.Discard, d.body, min(left, 1<<20))
		d.alive()
		if left -= n; err != nil {
			return d.unavailable("it broke off: %s", d.hub.quote(cause(err).Error()))
		}
	}
	return nil
}

func (d *download) unavailable(format string, args ...any) error {
	return &rebased.Error{Kind: rebased.Unavailable, Op: d.op, Err: fmt.Errorf(format, args...)}
}

// drop ends the request that is open.
func (d *download) drop() {
	if d.body != nil {
		d.stop()
		_ = d.body.Close()
		d.body = nil
	}
}

// Close implements io.Closer.
func (d *download) Close() error {
	d.drop()
	return nil
}
