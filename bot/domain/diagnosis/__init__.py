"""Which change did it: what may have caused a fall, what reruns say of it, and which rerun to do next."""
