"""What every benchmark needs: contestants, the crowd that asks them, what it cost, rounds in turn, and tables."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))  # the programs as children, and Redis
