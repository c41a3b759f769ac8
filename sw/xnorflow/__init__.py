"""xnorflow: trained binary neural networks to FPGA accelerators, proved equal bit by bit."""
