"""What the end-to-end tests speak in: a stage, its programs, shoppers, and what everyone was told.

    def test_two_shoppers_want_one_unit(stage, shopper):
        stage.gateway()
        stage.sale({"8801": 1})
        assert shopper("ann").buys("8801").is_bought
        assert shopper("bob").buys("8801").code == "sold_out"

Every program is the real one of build/$FLASHGATE_PRESET/bin, every Redis a real redis-server; the stage
starts them in a private folder and stops them, each by its process id.
"""
