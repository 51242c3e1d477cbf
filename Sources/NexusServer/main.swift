print("nexuscache")
