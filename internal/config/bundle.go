package config

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tandem/internal/farm"
)

// Bundle is a configuration as one file that can be kept elsewhere: a compressed tar archive with one file for each
// revision, which tar can list and unpack.
type Bundle struct {
	Farm    string      // name of the farm it came from
	Head    farm.Digest // the revision that it is about
	History []Revision  // with files, the head among them
	Secrets []byte      // of the head, under a passphrase; nil: they are only in secrets.toml, sealed to the farm
}

// Names in the archive. What is not listed here is of a later version, and then the whole is Unsupported.
const (
	bundleAbout     = "tandem-export"
	bundleRevisions = "revisions/"
	bundleSecrets   = "secrets.age"
)

const bundleLine = "tandem export 1"

// maxBundleBytes bounds what an archive may unpack to.
const maxBundleBytes = 1 << 30

// Pack is the bundle as bytes; the same bundle gives the same bytes.
func (b Bundle) Pack() ([]byte, error) {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	add := func(name string, at time.Time, data []byte) error {
		if err := archive.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o640, ModTime: at.Truncate(time.Second)}); err != nil {
			return err
		}
		_, err := archive.Write(data)
		return err
	}
	about := fmt.Sprintf("%s\nfarm %s\nhead %s\n", bundleLine, CleanMessage(b.Farm), b.Head)
	err := add(bundleAbout, time.Unix(0, 0), []byte(about))
	for _, r := range b.History {
		err = errors.Join(err, add(bundleRevisions+r.FileName(), r.Time.Wall(), r.Encode()))
	}
	if b.Secrets != nil {
		err = errors.Join(err, add(bundleSecrets, time.Unix(0, 0), b.Secrets))
	}
	if err = errors.Join(err, archive.Close(), zip.Close()); err != nil {
		return nil, &farm.Error{Op: "export configuration", Kind: farm.Internal, Err: err}
	}
	return out.Bytes(), nil
}

// Unpack is the inverse of Pack. Bytes that are no bundle are Corrupt, those of a later version Unsupported.
func Unpack(data []byte) (Bundle, error) {
	fail := func(err error) (Bundle, error) {
		kind := farm.KindOf(err)
		if kind != farm.Unsupported {
			kind = farm.Corrupt
		}
		return Bundle{}, &farm.Error{Op: "read export", Kind: kind, Err: err, Next: "name a file that tandem config export has written"}
	}
	zip, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return fail(err)
	}
	var b Bundle
	archive := tar.NewReader(io.LimitReader(zip, maxBundleBytes))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fail(err)
		}
		content, err := io.ReadAll(archive)
		if err == nil {
			err = b.take(h.Name, content)
		}
		if err != nil {
			return fail(err)
		}
	}
	for _, r := range b.History {
		if r.Digest == b.Head {
			return b, nil
		}
	}
	return fail(fmt.Errorf("it does not hold its head %s", b.Head.Short()))
}

// take reads one file of the archive.
func (b *Bundle) take(name string, content []byte) error {
	switch {
	case name == bundleAbout:
		return b.about(string(content))
	case name == bundleSecrets:
		b.Secrets = content
		return nil
	case strings.HasPrefix(name, bundleRevisions):
		r, err := DecodeRevision(content)
		b.History = append(b.History, r)
		return err
	}
	return farm.Errorf("", "", farm.Unsupported, "it holds %s, which this program does not know", name)
}

func (b *Bundle) about(text string) error {
	first, rest, _ := strings.Cut(text, "\n")
	if first != bundleLine {
		return farm.Errorf("", "", farm.Unsupported, "its format is %q, this program knows %q", first, bundleLine)
	}
	for line := range strings.Lines(rest) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "farm":
			b.Farm = value
		case "head":
			d, err := farm.ParseDigest(value)
			if err != nil {
				return err
			}
			b.Head = d
		}
	}
	return nil
}

// Revision is the head with its files.
func (b Bundle) Revision() Revision {
	for _, r := range b.History {
		if r.Digest == b.Head {
			return r
		}
	}
	return Revision{}
}
