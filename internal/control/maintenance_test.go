package control

import (
	"context"
	"reflect"
	"testing"
	"time"

	"tandem/internal/farm"
)

func (b *fakeBackend) Maintain(_ context.Context, m Maintenance) error {
	b.maintained = m
	return b.err
}

func TestMaintain(t *testing.T) {
	b := &fakeBackend{}
	c, _ := serveTest(t, b)
	want := Maintenance{Site: "shop", On: true, Message: "soon", RetryAfter: time.Hour, Allow: []string{"192.0.2.7"}}
	if err := c.Maintain(t.Context(), want); err != nil || !reflect.DeepEqual(b.maintained, want) {
		t.Errorf("%+v, %v", b.maintained, err)
	}
	b.err = farm.Errorf("maintenance", "x", farm.NotFound, "there is no such site")
	if err := c.Maintain(t.Context(), want); farm.KindOf(err) != farm.NotFound {
		t.Errorf("the error is %v", err)
	}
}
