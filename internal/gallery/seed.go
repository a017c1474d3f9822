package gallery

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"time"
)

const (
	seedWidth  = 480 // pixels
	seedHeight = 360
)

// landscape is a picture of hills under a sun, in a few colours.
type landscape struct {
	name       string
	sky, haze  color.RGBA // from the top to the horizon
	sun        color.RGBA
	near, far  color.RGBA // hills
	sunX, sunY float64    // as parts of width and height
	wave       float64    // phase of the hills
}

var seeds = []landscape{
	{"morning.png", rgb(0x2b4c7e), rgb(0xf6c89f), rgb(0xfff1d6), rgb(0x23363f), rgb(0x8a7f95), .68, .50, .4},
	{"noon.png", rgb(0x3f8fce), rgb(0xd8ecf5), rgb(0xfffbe8), rgb(0x2c6148), rgb(0x8fb79a), .30, .22, 2.1},
	{"evening.png", rgb(0x3a2352), rgb(0xf0785a), rgb(0xffd27a), rgb(0x1d1830), rgb(0x7d4365), .50, .58, 3.9},
	{"night.png", rgb(0x070b1c), rgb(0x2a3d66), rgb(0xe9eefb), rgb(0x050810), rgb(0x1c2947), .78, .20, 5.2},
}

// Seed draws a few pictures into dir, unless there are pictures already.
func Seed(dir string) error {
	s := store{dir}
	if all, err := s.pictures(); err != nil || len(all) > 0 {
		return err
	}
	uploads := filepath.Join(dir, uploadsDir)
	if err := os.MkdirAll(uploads, 0o755); err != nil {
		return err
	}
	now := time.Now()
	for i, l := range seeds {
		var file bytes.Buffer
		if err := png.Encode(&file, l.draw()); err != nil {
			return err
		}
		name := filepath.Join(uploads, l.name)
		if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
			return err
		}
		at := now.Add(-time.Duration(i) * time.Hour)
		if err := os.Chtimes(name, at, at); err != nil {
			return err
		}
	}
	return nil
}

func (l landscape) draw() image.Image {
	img := image.NewRGBA(image.Rect(0, 0, seedWidth, seedHeight))
	for y := range seedHeight {
		for x := range seedWidth {
			img.SetRGBA(x, y, l.at(float64(x)/seedWidth, float64(y)/seedHeight))
		}
	}
	return img
}

// at is the colour at a point, from the front to the back: four rows of hills, the sun with its glow, the sky.
func (l landscape) at(x, y float64) color.RGBA {
	const rows = 4
	for row := rows - 1; row >= 0; row-- {
		depth := float64(row) / (rows - 1) // 0: far, 1: near
		crest := .62 + .1*depth + .05*math.Sin(x*(5-2*depth)+l.wave*(1+depth)) + .018*math.Sin(x*17+l.wave*7*(1-depth))
		if y > crest {
			return mix(l.far, l.near, depth+.25*(y-crest))
		}
	}
	sky := mix(l.sky, l.haze, math.Pow(y/.7, 1.3))
	distance := math.Hypot((x-l.sunX)*seedWidth, (y-l.sunY)*seedHeight)
	const radius, edge, glow = 26, 1.5, 150
	if distance < radius+edge {
		return mix(l.sun, mix(sky, l.sun, .45), (distance-radius)/edge)
	}
	return mix(sky, l.sun, .45*math.Pow(max(0, 1-(distance-radius)/glow), 2))
}

// mix is a for 0 and less, b for 1 and more.
func mix(a, b color.RGBA, part float64) color.RGBA {
	part = min(max(part, 0), 1)
	between := func(a, b uint8) uint8 { return uint8(float64(a) + (float64(b)-float64(a))*part + .5) }
	return color.RGBA{between(a.R, b.R), between(a.G, b.G), between(a.B, b.B), 0xff}
}

func rgb(hex uint32) color.RGBA {
	return color.RGBA{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), 0xff}
}
