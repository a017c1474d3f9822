module tandem/bench/edge

go 1.26.0
